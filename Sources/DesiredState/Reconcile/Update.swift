import FoundationEssentials

/// The task of an agent: the adopted state, and how it differs from the one applied last.
public struct Update: Sendable {
  /// The adopted revision.
  public let revision: Revision
  /// Its version; nil if the source has none.
  public let version: UInt64?
  /// Where it came from, in its source's own terms.
  public let origin: Origin
  /// Every document of the state, in the publisher's order.
  public let documents: [Document]
  /// Documents that the state applied last did not have.
  public let added: [Document]
  /// Documents whose bytes differ from those applied last.
  public let modified: [Document]
  /// Documents that may be there and are no longer wanted: of the state applied last, and of every state since then whose
  /// apply began and was not finished. Their bytes can still be read, because uninstalling may need them; one whose bytes
  /// were lost with the disk throws when it is read.
  public let removed: [Document]
  let reporter: StatusReporter

  /// Whether a recipient wants every change of a document's state (``BackendCapabilities/acknowledgesEachChange``): then it
  /// is worth reporting also that work begins.
  public var wantsEachChange: Bool { reporter.keepsChanges }

  /// Tells the orchestrator how far documents have come. The acknowledgements are durable when this returns, and are
  /// delivered as soon as a source that takes them can be reached, also while the agent is still at work: the newest per
  /// document, or each change of state for a recipient that wants it.
  ///
  /// - Throws: ``FileError`` if they cannot be written to the outbox.
  public func report(_ statuses: DocumentStatus...) async throws { try await reporter.report(statuses) }

  /// The same, for a list.
  public func report(_ statuses: [DocumentStatus]) async throws { try await reporter.report(statuses) }
}

/// Writes acknowledgements about one state's documents into the outbox.
struct StatusReporter: Sendable {
  let outbox: Outbox
  let device: String
  let revision: Revision
  let version: UInt64?
  let origin: Origin
  /// Whether a recipient wants every change of state.
  let keepsChanges: Bool
  let now: @Sendable () -> Date
  let didReport: @Sendable () -> Void

  func report(_ statuses: [DocumentStatus]) async throws {
    try await outbox.put(
      statuses.map {
        Acknowledgement(
          device: device, revision: revision, adoptedManifestVersion: version, origin: origin, time: now(),
          outcome: .document($0))
      }, keepingChanges: keepsChanges)
    didReport()
  }
}
