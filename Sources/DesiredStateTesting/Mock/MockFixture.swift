public import DesiredState

/// The kit's fixture for ``MockBackend``: every law can be tried on it, in full.
public struct MockFixture: ConformanceFixture {
  /// The source under the kit's control.
  public let mock: MockBackend

  /// A fixture with a source of its own.
  public init() { mock = MockBackend(source: "mock:conformance", signers: [Conformance.signer]) }

  public var secrets: [String] { [] }

  public func makeBackend() async throws -> any DesiredStateBackend { MockBackend(restarting: mock) }
  public func publish(_ publication: TestPublication) async throws { mock.publish(publication) }
  public func publishNothing() async throws { mock.publishNothing() }
  public func makeUnreachable() async throws { mock.becomeUnreachable() }
  public func makeReachable() async throws { mock.recover() }
  public func corrupt(_ part: TestPublication.Part) async throws { mock.corrupt(part) }
  public func repair(_ part: TestPublication.Part) async throws { mock.repair(part) }

  public func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    mock.publishPartially(publication, leavingOut: part)
  }

  public func stall() async throws { mock.stall() }
  public func waitUntilStalled() async throws { try await mock.waitForStalled() }
  public func resume() async throws { mock.recover() }
  public func makeEndless(_ part: TestPublication.Part) async throws { try mock.makeEndless(part) }

  public func askForPatience(_ duration: Duration) async throws {
    mock.failNext(with: BackendError(.rateLimited, "the source asks not to be polled for a time", retryAfter: duration))
  }

  public func traffic() async throws -> SourceTraffic {
    let counts = mock.counts
    return SourceTraffic(
      manifestReads: counts.manifestReads, documentReads: counts.documentReads, bytes: counts.bytes)
  }

  public func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    mock.acknowledgements.map(ReceivedAcknowledgement.init)
  }

  // Lets operations go that still wait.
  public func tearDown() async { mock.recover() }
}
