import DesiredStateSupport
import Testing

/// What many ask for is done once at a time, and what each gets began after it asked.
@Suite("Shared work", .timeLimit(.minutes(5)))
struct SharedWorkTests {
  /// Counts runs, and lets each end when a test says so.
  private final class Counter: Sendable {
    struct State {
      var begun = 0
      var running = 0
      var atOnce = 0
      var cancelled = 0
    }
    let state = LockedValue(State())
    let gate = AsyncSignal()

    func run() async throws -> Int {
      let number = state.withLock { state in
        state.begun += 1
        state.running += 1
        state.atOnce = max(state.atOnce, state.running)
        return state.begun
      }
      await gate.wait()
      state.withLock {
        $0.running -= 1
        if Task.isCancelled { $0.cancelled += 1 }
      }
      try Task.checkCancellation()
      return number
    }

    func waitForRun(_ number: Int) async throws {
      while state.withLock({ $0.begun < number }) {
        try Task.checkCancellation()
        await Task.yield()
      }
    }
  }

  @Test("A caller that arrives during a run gets the result of one that begins later; many share it") func callers()
    async throws
  {
    let counter = Counter()
    let work = SharedWork<Int>()
    let first = Task { try await work.run(counter.run) }
    try await counter.waitForRun(1)
    let others = (0..<20).map { _ in Task { try await work.run(counter.run) } }
    // Every one of them has asked before the first run ends.
    for _ in 0..<1000 { await Task.yield() }
    counter.gate.ring()
    #expect(try await first.value == 1)
    try await counter.waitForRun(2)
    let late = Task { try await work.run(counter.run) }
    let gate = Task {
      while !Task.isCancelled {
        counter.gate.ring()
        await Task.yield()
      }
    }
    for other in others { #expect(try await other.value >= 2) }
    #expect(try await late.value >= 3)
    gate.cancel()
    #expect(counter.state.withLock { $0.atOnce } == 1)
    #expect(!work.isRunning)
  }

  @Test("A run that no caller waits for is cancelled, and over when the last caller returns") func cancellation()
    async throws
  {
    let counter = Counter()
    let work = SharedWork<Int>()
    let first = Task { try await work.run(counter.run) }
    try await counter.waitForRun(1)
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    #expect(counter.state.withLock { $0.running } == 0)
    #expect(counter.state.withLock { $0.cancelled } == 1)
    let second = Task { try await work.run(counter.run) }
    try await counter.waitForRun(2)
    counter.gate.ring()
    #expect(try await second.value == 2)
  }
}
