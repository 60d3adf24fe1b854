import DesiredState

@testable import DesiredStateTesting

/// The changes that a mutant makes to the honest backend. Everything else is passed on.
struct Mutation: Sendable {
  typealias Bytes = any AsyncSequence<[UInt8], any Error>

  var source: @Sendable (String) -> String = { $0 }
  var capabilities: @Sendable (BackendCapabilities) -> BackendCapabilities = { $0 }
  var fetch: @Sendable (FetchRequest, any DesiredStateBackend) async throws -> FetchResult = {
    try await $1.fetch($0)
  }
  var verify: @Sendable (FetchedState, Verifier, any DesiredStateBackend) async throws -> VerifiedState = {
    try await $2.verify($0, with: $1)
  }
  var acknowledge: @Sendable (Acknowledgement, any DesiredStateBackend) async throws -> Void = {
    try await $1.acknowledge($0)
  }
  /// What becomes of a state in the end, its reader included.
  var finish: @Sendable (FetchedState) -> FetchedState = { $0 }
  var open: @Sendable (DocumentReference, any DocumentReader) async throws -> Bytes = { try await $1.open($0) }
}

/// An honest backend with a mistake made in it.
struct MutantBackend: DesiredStateBackend {
  let base: any DesiredStateBackend
  let mutation: Mutation

  var source: String { mutation.source(base.source) }
  var capabilities: BackendCapabilities { mutation.capabilities(base.capabilities) }

  func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await mutation.fetch(request, base).mapState { state in
      mutation.finish(state.replacing(documents: WrappedReader(base: state.documents, opening: mutation.open)))
    }
  }

  func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState {
    try await mutation.verify(state, verifier, base)
  }

  func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try await mutation.acknowledge(acknowledgement, base)
  }

  func changeHints() -> AsyncStream<Void>? { base.changeHints() }
}

/// The kit's fixture for a ``Mutant``.
struct MutantFixture: ConformanceFixture {
  private static let token = "token-7e01d2"
  private let mutant: Mutant
  private let honest = MockFixture()

  init(_ mutant: Mutant) { self.mutant = mutant }

  var secrets: [String] { [Self.token] }

  func makeBackend() async throws -> any DesiredStateBackend {
    MutantBackend(base: try await honest.makeBackend(), mutation: mutant.mutation(of: honest.mock, token: Self.token))
  }

  func publish(_ publication: TestPublication) async throws { try await honest.publish(publication) }
  func publishNothing() async throws { try await honest.publishNothing() }
  func makeUnreachable() async throws { try await honest.makeUnreachable() }
  func makeReachable() async throws { try await honest.makeReachable() }
  func corrupt(_ part: TestPublication.Part) async throws { try await honest.corrupt(part) }
  func repair(_ part: TestPublication.Part) async throws { try await honest.repair(part) }
  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try await honest.publishPartially(publication, leavingOut: part)
  }
  func stall() async throws { try await honest.stall() }
  // A mutant may not come to the source at all, and a wait for it would have no end.
  func waitUntilStalled() async throws {
    try? await withTimeout(.milliseconds(100)) { [honest] in try await honest.waitUntilStalled() }
  }
  func resume() async throws { try await honest.resume() }
  func makeEndless(_ part: TestPublication.Part) async throws { try await honest.makeEndless(part) }
  func askForPatience(_ duration: Duration) async throws { try await honest.askForPatience(duration) }
  func traffic() async throws -> SourceTraffic { try await honest.traffic() }
  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    try await honest.receivedAcknowledgements()
  }
  func tearDown() async { await honest.tearDown() }
}
