public import DesiredState
import Synchronization

/// A source that lives in memory and does what a test tells it, with a backend that is honest about it.
///
/// It keeps every law of the contract, so that an agent tested with it meets what it will meet in the field: states,
/// absence, errors, delays, torn publications, tampering. Nothing in it sleeps unless a test asks for a delay, and then on
/// the clock it was given.
///
///     let backend = MockBackend()
///     backend.publish(["press": "recipe: 7"])
///     let result = try await backend.fetch(FetchRequest())
///
/// Its publications are signed by ``signers``; `backend.policy` trusts them.
public final class MockBackend: DesiredStateBackend {
  /// What an agent can ask of a backend, as far as a test can make it slow or fail.
  public enum Operation: Hashable, Sendable, CaseIterable {
    /// A poll of the source.
    case fetch
    /// The reading of a document: its opening, and every piece of it.
    case read
    /// The delivery of an acknowledgement.
    case acknowledge
  }

  public let source: String
  public let capabilities: BackendCapabilities
  /// The signers of every publication; unsigned if empty. Set at the beginning.
  public let signers: [TestSigner]
  let remote: MockSource

  /// A source that publishes nothing yet.
  ///
  /// - Parameters:
  ///   - source: its name, as logs and the store know it.
  ///   - capabilities: what it declares; it refuses to do the rest.
  ///   - signers: who signs what it publishes.
  ///   - clock: what delays and timeouts pass by; give the ``VirtualClock`` of the test.
  public init(
    source: String = "mock:", capabilities: BackendCapabilities = [.acknowledges, .hintsAtChanges, .resumes],
    signers: [TestSigner] = [TestSigner()], clock: any Clock<Duration> = ContinuousClock()
  ) {
    self.source = source
    self.capabilities = capabilities
    self.signers = signers
    remote = MockSource(clock: clock)
  }

  /// A backend made anew for the same source, as after a restart of the agent.
  public init(restarting other: MockBackend) {
    source = other.source
    capabilities = other.capabilities
    signers = other.signers
    remote = other.remote
  }

  // MARK: - The contract

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    remote.count { $0.fetches += 1 }
    try await remote.pass(.fetch, timeout: request.timeout)
    let patience = remote.patience
    guard let publication = remote.published else {
      return FetchResult(
        .absent(Absence(.manifest, "\(source) publishes nothing; publish a state")), retryAfter: patience)
    }
    if let current = request.current, current == publication.revision {
      return FetchResult(.unchanged, marker: current.description, retryAfter: patience)
    }
    let manifest = try remote.manifest(of: publication, limit: request.limits.manifestSize)
    let signatures = try remote.signatures(of: publication, limit: request.limits.evidenceSize)
    let documents = MockDocuments(remote: remote, timeout: request.timeout)
    let state = FetchedState(
      manifest: manifest, signatures: signatures, origin: Origin(path: source), documents: documents)
    return FetchResult(.changed(state), marker: state.revision.description, retryAfter: patience)
  }

  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    guard capabilities.contains(.acknowledges) else {
      throw BackendError(.unsupported, "\(source) cannot take acknowledgements")
    }
    remote.count { $0.acknowledgeCalls += 1 }
    try await remote.pass(.acknowledge, timeout: .seconds(30))
    remote.receive(acknowledgement)
  }

  public func changeHints() -> AsyncStream<Void>? {
    capabilities.contains(.hintsAtChanges) ? remote.hints() : nil
  }
}

extension MockBackend {
  /// Trusts the signers here: the policy for an agent under test. Unsigned without signers.
  public var policy: TrustPolicy { TestSigner.policy(signers) }
}
