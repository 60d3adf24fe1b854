import DesiredState
import DesiredStateTesting
import FoundationEssentials
import Testing

@Suite struct MockBackendTests {
  let backend = MockBackend()

  @Test func `a published state is fetched with its documents`() async throws {
    let revision = backend.publish(["press": "recipe: 7", "belt": "speed: 2"])
    let state = try await changed()
    #expect(state.revision == revision)
    let manifest = try StateManifest(parsing: state.manifest)
    #expect(manifest.version == 1)
    #expect(manifest.documents.map(\.id) == ["belt", "press"])
    #expect(try await text(of: manifest.documents[1], in: state) == "recipe: 7")
    #expect(backend.counts.documentsRead == 1)
  }

  @Test func `versions rise by themselves`() throws {
    backend.publish(["press": "1"])
    backend.publish(["press": "2"], version: 10)
    backend.publishEmpty()
    let publication = try #require(backend.publication)
    #expect(publication.version == 11)
    #expect(publication.documents.isEmpty)
  }

  @Test func `the current revision is unchanged without reading anything`() async throws {
    let revision = backend.publish(["press": "recipe: 7"])
    let result = try await backend.fetch(FetchRequest(current: revision))
    guard case .unchanged = result.outcome else { return expect("unchanged", result) }
    #expect(backend.counts.manifestReads == 0)
    #expect(backend.counts.bytes == 0)
  }

  @Test func `nothing published is absent, and so is what was withdrawn`() async throws {
    let nothing = try await backend.fetch(FetchRequest())
    guard case .absent = nothing.outcome else { return expect("absent", nothing) }
    let revision = backend.publish(["press": "recipe: 7"])
    backend.publishNothing()
    let result = try await backend.fetch(FetchRequest(current: revision))
    guard case .absent = result.outcome else { return expect("absent", result) }
  }

  @Test func `errors come in the order they were scripted, then it works again`() async throws {
    let revision = backend.publish(["press": "recipe: 7"])
    backend.failNext(
      with: BackendError(.rateLimited, "slow down", retryAfter: .seconds(7)), BackendError(.serverError, "oh"))
    let first = await #expect(throws: BackendError.self) { try await backend.fetch(FetchRequest()) }
    #expect(first?.retryAfter == .seconds(7))
    let second = await #expect(throws: BackendError.self) { try await backend.fetch(FetchRequest()) }
    #expect(second?.code == .serverError)
    #expect(try await changed().revision == revision)
  }

  @Test func `an unreachable source fails until it recovers`() async throws {
    backend.publish(["press": "recipe: 7"])
    let state = try await changed()
    backend.becomeUnreachable(retryAfter: .seconds(9))
    let error = await #expect(throws: BackendError.self) { try await backend.fetch(FetchRequest()) }
    #expect(error?.code == .unreachable)
    #expect(error?.retryAfter == .seconds(9))
    await #expect(throws: BackendError.self) { try await backend.acknowledge(installed("press", "a")) }
    let document = try StateManifest(parsing: state.manifest).documents[0]
    await #expect(throws: BackendError.self) { try await text(of: document, in: state) }
    backend.recover()
    _ = try await changed()
  }

  @Test func `a delay passes on the clock it was given`() async throws {
    let clock = VirtualClock()
    let backend = MockBackend(clock: clock)
    backend.publish(["press": "recipe: 7"])
    backend.delay(by: .seconds(5))
    let look = Task { try await backend.fetch(FetchRequest()) }
    try await clock.waitForSleepers()
    clock.advance(by: .seconds(5))
    let result = try await look.value
    guard case .changed = result.outcome else { return expect("changed", result) }
  }

  @Test func `a delay longer than the timeout is a timeout`() async throws {
    let clock = VirtualClock()
    let backend = MockBackend(clock: clock)
    backend.delay(by: .seconds(60))
    let look = Task { try await backend.fetch(FetchRequest(timeout: .seconds(30))) }
    try await clock.waitForSleepers()
    clock.advance(by: .seconds(30))
    let error = await #expect(throws: BackendError.self) { try await look.value }
    #expect(error?.code == .timeout)
  }

  @Test func `a stall ends with recovery, with the timeout and with cancellation`() async throws {
    let clock = VirtualClock()
    let backend = MockBackend(clock: clock)
    backend.publish(["press": "recipe: 7"])
    backend.stall(.fetch)
    let looks = (0..<3).map { _ in Task { try await backend.fetch(FetchRequest(timeout: .seconds(30))) } }
    try await backend.waitForStalled(3)
    looks[0].cancel()
    await #expect(throws: CancellationError.self) { try await looks[0].value }
    backend.recover()
    _ = try await (looks[1].value, looks[2].value)

    backend.stall()
    let late = Task { try await backend.fetch(FetchRequest(timeout: .seconds(30))) }
    try await backend.waitForStalled()
    try await clock.waitForSleepers()
    clock.advance(by: .seconds(30))
    let error = await #expect(throws: BackendError.self) { try await late.value }
    #expect(error?.code == .timeout)
  }

  @Test func `a torn publication is refused until it is whole`() async throws {
    let publication = TestPublication(version: 3, documents: ["press": Array("recipe: 7".utf8)])
    backend.publishPartially(publication, leavingOut: .document("press"))
    let state = try await changed()
    let document = try StateManifest(parsing: state.manifest).documents[0]
    let error = await #expect(throws: VerificationError.self) { try await text(of: document, in: state) }
    #expect(error?.code == .documentMissing)
    backend.publishPartially(publication, leavingOut: .signatures)
    #expect(try await changed().signatures.isEmpty)
    backend.publish(publication)
    #expect(try await text(of: document, in: changed()) == "recipe: 7")
  }

  @Test func `acknowledgements are kept in order, and one that comes twice counts once`() async throws {
    try await backend.acknowledge(installed("press", "a"))
    try await backend.acknowledge(installed("press", "a"))
    try await backend.acknowledge(installed("belt", "b"))
    #expect(backend.acknowledgements.map(\.id) == ["a", "b"])
    #expect(backend.counts.acknowledgeCalls == 3)
    #expect(backend.status(of: "belt")?.state == .installed)
    #expect(backend.status(of: "oven") == nil)
  }

  @Test func `what it does not declare it refuses to do`() async throws {
    let backend = MockBackend(capabilities: [])
    let error = await #expect(throws: BackendError.self) { try await backend.acknowledge(installed("press", "a")) }
    #expect(error?.code == .unsupported)
    #expect(backend.changeHints() == nil)
  }

  @Test func `publishing gives a hint to whoever listens`() async throws {
    let hints = try #require(backend.changeHints())
    backend.publish(["press": "recipe: 7"])
    var iterator = hints.makeAsyncIterator()
    #expect(await iterator.next() != nil)
  }

  @Test func `a backend made anew sees the same source`() async throws {
    let revision = backend.publish(["press": "recipe: 7"])
    let again = MockBackend(restarting: backend)
    let result = try await again.fetch(FetchRequest(current: revision))
    guard case .unchanged = result.outcome else { return expect("unchanged", result) }
    #expect(again.source == backend.source)
  }

  @Test func `limits hold while reading`() async throws {
    backend.publish(["press": String(repeating: "x", count: 5000)])
    await #expect(throws: VerificationError.self) {
      try await backend.fetch(FetchRequest(limits: Limits(manifestSize: 100)))
    }
    #expect(backend.counts.bytes <= 101)
    try backend.makeEndless(.manifest)
    let error = await #expect(throws: VerificationError.self) {
      try await backend.fetch(FetchRequest(limits: Limits(manifestSize: 1 << 20)))
    }
    #expect(error?.code == .limitExceeded)
  }

  // MARK: - Words for the tests above

  private func changed() async throws -> FetchedState {
    let result = try await backend.fetch(FetchRequest())
    guard case .changed(let state) = result.outcome else { throw Unexpected(outcome: "\(result.outcome)") }
    return state
  }

  private struct Unexpected: Error { let outcome: String }

  private func expect(_ outcome: String, _ result: FetchResult) {
    Issue.record("expected \(outcome), got \(result.outcome)")
  }

  private func text(of document: DocumentReference, in state: FetchedState) async throws -> String {
    var bytes: [UInt8] = []
    for try await piece in try await state.documents.open(document) { bytes += piece }
    return String(decoding: bytes, as: UTF8.self)
  }

  private func installed(_ document: String, _ id: String) -> Acknowledgement {
    Acknowledgement(
      id: id, device: "press-42", revision: nil, adoptedManifestVersion: 1, time: Date(timeIntervalSince1970: 0),
      outcome: .document(DocumentStatus(documentID: document, state: .installed)))
  }
}
