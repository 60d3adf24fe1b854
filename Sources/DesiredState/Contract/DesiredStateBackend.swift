/// A transport on which desired state arrives: the one protocol a vendor implements.
///
/// Three functions. `fetch` polls the source and answers with its state, evidence and origin included; `verify` weighs
/// the evidence in ``Verifier/admit(_:)``, and its default is right for every source; `acknowledge` tells the source what
/// became of it. The laws a backend keeps are listed in the article *The laws*; the conformance kit tries each one.
///
/// All three are called from any task, and concurrently. Blocking calls must not run on Swift's cooperative pool.
public protocol DesiredStateBackend: Sendable {
  /// The source in words an operator knows it by, with every secret left out. It is the key under which the
  /// store remembers the source, so it must be the same for the same configuration.
  var source: String { get }

  /// What this backend can do beyond fetching. Nothing undeclared is silently dropped: acknowledgements wait for
  /// a backend that takes them.
  var capabilities: BackendCapabilities { get }

  /// Looks at the source once.
  ///
  /// - Throws: ``BackendError`` if the source cannot be reached or makes no sense, before `request.timeout` has passed;
  ///   ``VerificationError`` if the state breaks a limit or cannot be read; `CancellationError`.
  func fetch(_ request: FetchRequest) async throws -> FetchResult

  /// Turns a fetched state into a verified one, or says why not.
  ///
  /// - Throws: ``VerificationError``.
  func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState

  /// Delivers an acknowledgement. Delivering the same one twice must count once.
  ///
  /// - Throws: ``BackendError`` if it could not be delivered; it stays in the outbox then.
  func acknowledge(_ acknowledgement: Acknowledgement) async throws

  /// Hints that it is worth looking now. A hint is never more than that: missing one costs an interval, no more.
  /// Nil where the source has none. The stream ends its work when it is no longer iterated.
  func changeHints() -> AsyncStream<Void>?

  /// Reads again at the next poll what its settings name (files of keys, certificates and tokens), and connects anew. Files
  /// that change are read again without this.
  func reload()
}

extension DesiredStateBackend {
  /// Nothing beyond fetching.
  public var capabilities: BackendCapabilities { [] }

  /// Weighs the evidence of the state, and checks everything else: ``Verifier/admit(_:)``.
  public func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState {
    try verifier.admit(state)
  }

  /// For a source that has no way back: says so, and the acknowledgement waits for one that has.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    throw BackendError(.unsupported, "\(source) cannot take acknowledgements")
  }

  /// No hints.
  public func changeHints() -> AsyncStream<Void>? { nil }

  public func reload() {}
}

/// What a backend can do beyond fetching and verifying.
public struct BackendCapabilities: OptionSet, Sendable, Hashable {
  public let rawValue: UInt
  public init(rawValue: UInt) { self.rawValue = rawValue }

  /// ``DesiredStateBackend/acknowledge(_:)`` can deliver how far documents have come.
  public static let acknowledgesDocuments = BackendCapabilities(rawValue: 1 << 0)
  /// ``DesiredStateBackend/acknowledge(_:)`` can deliver that a state was adopted or rejected as a whole.
  public static let acknowledgesStates = BackendCapabilities(rawValue: 1 << 3)
  /// ``DesiredStateBackend/acknowledge(_:)`` can deliver any acknowledgement.
  public static let acknowledges: BackendCapabilities = [.acknowledgesDocuments, .acknowledgesStates]
  /// The recipient wants every change of a document's state, in order, and not the newest alone. While it cannot be reached,
  /// the last few are kept.
  public static let acknowledgesEachChange = BackendCapabilities(rawValue: 1 << 4)
  /// ``DesiredStateBackend/changeHints()`` gives hints.
  public static let hintsAtChanges = BackendCapabilities(rawValue: 1 << 1)
  /// An interrupted document is continued where it stopped, and not read again from its beginning:
  /// ``DocumentReader/open(_:from:)``.
  public static let resumes = BackendCapabilities(rawValue: 1 << 2)
}
