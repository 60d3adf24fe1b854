import DesiredStateSupport

/// Lets a few cases run at a time, or one alone.
///
/// A few, so that the backend is slow in one, and not the company. One alone, because what counts this process's
/// files and threads must not count those of other cases.
final class CaseGate: Sendable {
  static let shared = CaseGate()
  /// How many run at a time.
  private static let width = 4

  private struct State {
    var running = 0
    var isExclusive = false
    // In the order in which they came.
    var exclusive: [CheckedContinuation<Void, Never>] = []
    var others: [CheckedContinuation<Void, Never>] = []

    /// The cases that may go now. Those that run alone come last, one after the other: emptying the room for each of them would
    /// take longer than all of them do.
    mutating func admit() -> [CheckedContinuation<Void, Never>] {
      var admitted: [CheckedContinuation<Void, Never>] = []
      while !isExclusive, running < CaseGate.width, !others.isEmpty {
        running += 1
        admitted.append(others.removeFirst())
      }
      if running == 0, !exclusive.isEmpty {
        running = 1
        isExclusive = true
        admitted.append(exclusive.removeFirst())
      }
      return admitted
    }
  }
  private let state = LockedValue(State())

  /// Runs a case, alone if it is exclusive. Every case has a limit, so the wait has one too.
  func run<Value>(exclusive: Bool, _ work: () async -> Value) async -> Value {
    await withCheckedContinuation { continuation in
      resume(
        state.withLock { state in
          if exclusive { state.exclusive.append(continuation) } else { state.others.append(continuation) }
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
