import DesiredStateSupport
public import FoundationEssentials

/// What a device tells its orchestrator: that it adopted or rejected a state, or how far one document has come.
///
/// Acknowledgements are durable in the ``Outbox`` before they are sent, and only the newest per ``subject`` matters.
/// The vocabulary of documents is Margo's (`DeploymentStatusManifest`); the state-level subject is this package's own.
public struct Acknowledgement: Sendable, Equatable, Codable {
  /// The idempotency key: a receiver that has seen it counts the second delivery as the first.
  public var id: String
  /// The device that speaks.
  public var device: String
  /// The revision the device is on, if any.
  public var revision: Revision?
  /// `adoptedManifestVersion`: the version of that revision, if it has one.
  public var adoptedManifestVersion: UInt64?
  /// Where the revision came from, in its source's own terms: the commit, the URL, the path.
  public var origin: Origin?
  /// When it was made, by the device's own clock.
  public var time: Date
  /// What became of the state or the document.
  public var outcome: Outcome

  /// An acknowledgement of these parts.
  public init(
    id: String = UUID().uuidString, device: String, revision: Revision?, adoptedManifestVersion: UInt64?,
    origin: Origin? = nil, time: Date, outcome: Outcome
  ) {
    self.id = id
    self.device = device
    self.revision = revision
    self.adoptedManifestVersion = adoptedManifestVersion
    self.origin = origin
    self.time = time
    self.outcome = outcome
  }

  /// What became of the state as a whole, or of one document.
  public enum Outcome: Sendable, Equatable, Codable {
    /// The state as a whole was verified and is durable on the device.
    case adopted
    /// A state on offer was refused; the device keeps its own.
    case rejected(OtherState)
    /// The device went back to an earlier state: the acknowledgement's own `revision`.
    case rolledBack(OtherState)
    /// The state was adopted and could not be put to work for good: its trial failed. The device is on another, the
    /// acknowledgement's own `revision`.
    case failed(OtherState)
    /// An operator reset something by hand, told in words.
    case reset([String])
    /// How far one document has come.
    case document(DocumentStatus)
  }

  /// Another state than the one the device is on, and why the device is not on it.
  public struct OtherState: Sendable, Equatable, Codable {
    /// Its revision, where known; the acknowledgement's own `revision` is the one the device is on.
    public var revision: Revision?
    /// The version that its manifest has or claims, where known.
    public var version: UInt64?
    /// Why, in one word: that of a ``VerificationError`` if the state was refused; `operator` or `trial-failed` if the device
    /// left it.
    public var code: String
    /// Why, in words.
    public var reason: String
    /// Where a refused state came from, where known.
    public var origin: Origin?

    /// A state of which these things are known.
    public init(revision: Revision?, version: UInt64?, code: String, reason: String, origin: Origin? = nil) {
      self.origin = origin
      self.revision = revision
      self.version = version
      self.code = code
      self.reason = printable(reason)
    }
  }

  /// What two acknowledgements share when the newer replaces the older.
  public enum Subject: Sendable, Hashable {
    /// The state as a whole.
    case state
    /// The document with this id.
    case document(String)
  }

  /// What a backend must be able to do to deliver it.
  var capability: BackendCapabilities {
    switch subject {
    case .state: .acknowledgesStates
    case .document: .acknowledgesDocuments
    }
  }

  /// The subject of this acknowledgement.
  public var subject: Subject {
    switch outcome {
    case .adopted, .rejected, .rolledBack, .failed, .reset: .state
    case .document(let status): .document(status.documentID)
    }
  }
}

/// How far a document, and each component in it, has come.
///
/// Source: Margo `DeploymentStatusManifest`.
public struct DocumentStatus: Sendable, Equatable, Codable {
  /// `deploymentId`.
  public var documentID: String
  /// The device that hosts it, if it is not the one that speaks: one behind a gateway.
  public var device: String?
  /// The overall state.
  public var state: State
  /// Why it failed; given when `state` is `failed`.
  public var error: Failure?
  /// The state of each component, if the agent knows components.
  public var components: [Component]

  /// The status of a document.
  public init(
    documentID: String, device: String? = nil, state: State, error: Failure? = nil, components: [Component] = []
  ) {
    self.documentID = documentID
    self.device = device
    self.state = state
    self.error = error
    self.components = components
  }

  /// Margo's deployment states.
  public enum State: String, Sendable, Codable, CaseIterable {
    /// Known, and nothing is done yet.
    case pending
    /// Being installed.
    case installing
    /// In place.
    case installed
    /// Not in place; the error says why.
    case failed
    /// Being removed.
    case removing
    /// Gone.
    case removed
  }

  /// Margo's error object.
  public struct Failure: Sendable, Equatable, Codable {
    /// A code of the agent's own.
    public var code: String
    /// The component or device the error comes from, if known.
    public var source: String?
    /// What a person should know.
    public var message: String

    /// A failure with a code of the agent's own.
    public init(code: String, source: String? = nil, message: String) {
      self.code = code
      self.source = source
      self.message = message
    }
  }

  /// One component's state.
  public struct Component: Sendable, Equatable, Codable {
    /// The component's name.
    public var name: String
    /// How far it has come.
    public var state: State
    /// Why it failed; given when `state` is `failed`.
    public var error: Failure?

    /// The status of a component.
    public init(name: String, state: State, error: Failure? = nil) {
      self.name = name
      self.state = state
      self.error = error
    }
  }

  /// The state of the whole by the specification's precedence: failed, removing, installing, pending, removed,
  /// installed; `pending` if there are no components.
  public static func overallState(of components: [Component]) -> State {
    let precedence: [State] = [.failed, .removing, .installing, .pending, .removed, .installed]
    return precedence.first { state in components.contains { $0.state == state } } ?? .pending
  }
}
