import Synchronization

/// Lets many cases run at a time, or one alone: what counts this process's files and threads must not count those of
/// other cases.
final class CaseGate: Sendable {
  static let shared = CaseGate()

  private struct State {
    var running = 0
    var isExclusive = false
    var waiting: [(isExclusive: Bool, continuation: CheckedContinuation<Void, Never>)] = []

    /// Whoever may go now, in the order in which they came.
    mutating func admit() -> [CheckedContinuation<Void, Never>] {
      var admitted: [CheckedContinuation<Void, Never>] = []
      while let next = waiting.first, !isExclusive, !next.isExclusive || running == 0 {
        waiting.removeFirst()
        running += 1
        isExclusive = next.isExclusive
        admitted.append(next.continuation)
      }
      return admitted
    }
  }
  private let state = Mutex(State())

  /// Runs a case, alone if it is exclusive. Every case has a limit, so the wait has one too.
  func run<Value>(exclusive: Bool, _ work: () async -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      resume(
        state.withLock { state in
          state.waiting.append((exclusive, continuation))
          return state.admit()
        })
    }
    defer {
      resume(
        state.withLock { state in
          state.running -= 1
          state.isExclusive = false
          return state.admit()
        })
    }
    return await work()
  }

  private func resume(_ continuations: [CheckedContinuation<Void, Never>]) {
    for continuation in continuations { continuation.resume() }
  }
}
