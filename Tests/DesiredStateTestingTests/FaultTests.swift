import DesiredState
import DesiredStateTesting
import Testing

@Suite struct FaultTests {
  let mock = MockBackend()

  @Test func `a slow backend takes its time on the clock it was given`() async throws {
    let clock = VirtualClock()
    mock.publish(["press": "recipe: 7"])
    let backend = SlowBackend(mock, by: .seconds(2) ... .seconds(4), clock: clock, seed: 1)
    let look = Task { try await backend.fetch(FetchRequest()) }
    try await clock.waitForSleepers()
    let wait = try #require(clock.advanceToNextWakeUp())
    #expect((.seconds(2) ... .seconds(4)).contains(wait))
    guard case .changed(let state) = try await look.value.outcome else { throw Unexpected() }
    let document = try StateManifest(parsing: state.manifest).documents[0]
    let reading = Task { _ = try await state.documents.open(document) }
    try await clock.waitForSleepers()
    clock.advanceToNextWakeUp()
    try await reading.value
  }

  @Test func `a backend slower than the timeout times out`() async throws {
    let clock = VirtualClock()
    let backend = SlowBackend(mock, by: .seconds(60) ... .seconds(90), clock: clock, seed: 1)
    let look = Task { try await backend.fetch(FetchRequest(timeout: .seconds(30))) }
    try await clock.waitForSleepers()
    clock.advance(by: .seconds(30))
    let error = await #expect(throws: BackendError.self) { try await look.value }
    #expect(error?.code == .timeout)
  }

  @Test func `a flaky backend fails the same operations for the same seed`() async throws {
    func failures(seed: UInt64) async -> [Bool] {
      let backend = FlakyBackend(mock, failing: 0.5, seed: seed)
      var failures: [Bool] = []
      for _ in 0..<64 {
        do {
          _ = try await backend.fetch(FetchRequest())
          failures.append(false)
        } catch { failures.append(true) }
      }
      return failures
    }
    let first = await failures(seed: 7)
    #expect(await failures(seed: 7) == first)
    #expect(await failures(seed: 8) != first)
    #expect(first.contains(true) && first.contains(false))
  }

  @Test func `what a corrupting backend brings is refused, and what is left alone is not`() async throws {
    mock.publish(["press": "recipe: 7"])
    func codes(seed: UInt64) async throws -> [String] {
      let backend = CorruptingBackend(mock, corrupting: 0.3, seed: seed)
      let verifier = Verifier(policy: mock.policy, device: "press-42", now: .init(timeIntervalSince1970: 0))
      var codes: [String] = []
      for _ in 0..<40 {
        guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else { throw Unexpected() }
        do {
          let verified = try await backend.verify(state, with: verifier)
          for try await _ in try await verified.open(verified.manifest.documents[0]) {}
          codes.append("verified")
        } catch let error as VerificationError {
          codes.append(error.code.rawValue)
        }
      }
      return codes
    }
    let first = try await codes(seed: 7)
    #expect(try await codes(seed: 7) == first)
    #expect(Set(first).isSuperset(of: ["verified", "signature-invalid", "digest-mismatch"]))
  }

  @Test func `a stale backend offers an earlier state now and then`() async throws {
    func versions(seed: UInt64) async throws -> [UInt64?] {
      let mock = MockBackend()
      let backend = StaleBackend(mock, replaying: 0.3, seed: seed)
      var versions: [UInt64?] = []
      for version in 1...20 {
        mock.publish(["press": "\(version)"], version: UInt64(version))
        guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else { throw Unexpected() }
        versions.append(try StateManifest(parsing: state.manifest).version)
      }
      return versions
    }
    let first = try await versions(seed: 7)
    #expect(try await versions(seed: 7) == first)
    #expect(zip(first, Array(1...20)).contains { $0 != $1 })
    #expect(zip(first, Array(1...20)).contains { $0 == $1 })
  }

  @Test(arguments: [0.0, 1.0]) func `wrappers pass on everything that is no fault`(probability: Double) async throws {
    mock.publish(["press": "recipe: 7"])
    let backend = FlakyBackend(CorruptingBackend(mock, corrupting: 0, seed: 1), failing: probability, seed: 1)
    #expect(backend.source == mock.source)
    #expect(backend.capabilities == mock.capabilities)
    #expect(backend.changeHints() != nil)
  }

  private struct Unexpected: Error {}
}
