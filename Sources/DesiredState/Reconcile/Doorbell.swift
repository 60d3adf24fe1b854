import Synchronization

/// Lets one task sleep until another rings. A ring while nobody listens is kept, several count as one.
final class Doorbell: Sendable {
  private struct State {
    var isRung = false
    var listener: Answer<Void>?
  }
  private let state = Mutex(State())

  func ring() {
    let listener = state.withLock { state -> Answer<Void>? in
      state.isRung = state.listener == nil
      defer { state.listener = nil }
      return state.listener
    }
    listener?.give(.success(()))
  }

  /// Returns when the bell rings, when `limit` has passed, or when the task is cancelled.
  func wait(atMost limit: Duration, clock: any Clock<Duration>) async {
    let alarm = Task {
      try await clock.sleep(for: limit, tolerance: nil)
      ring()
    }
    defer { alarm.cancel() }
    await wait()
  }

  /// Returns when the bell rings, or when the task is cancelled.
  func wait() async {
    let answer = Answer<Void>()
    let wasRung = state.withLock { state in
      defer { state.isRung = false }
      if !state.isRung { state.listener = answer }
      return state.isRung
    }
    if wasRung { return }
    defer { state.withLock { $0.listener = nil } }
    try? await answer.value()
  }
}
