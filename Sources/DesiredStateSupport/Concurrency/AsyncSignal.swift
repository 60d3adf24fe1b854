/// Lets one task sleep until another rings. A ring without a listener is kept, several count as one.
package final class AsyncSignal: Sendable {
  private struct State {
    var isRung = false
    var listener: Promise<Void>?
  }
  private let state = LockedValue(State())

  package init() {}

  package func ring() {
    let listener = state.withLock { state -> Promise<Void>? in
      state.isRung = state.listener == nil
      defer { state.listener = nil }
      return state.listener
    }
    listener?.give(.success(()))
  }

  /// Returns when the bell rings, when `limit` has passed, or when the task is cancelled.
  package func wait(atMost limit: Duration, clock: any Clock<Duration>) async {
    let alarm = Task {
      try await clock.sleep(for: limit, tolerance: nil)
      ring()
    }
    defer { alarm.cancel() }
    await wait()
  }

  /// Returns when the bell rings, or when the task is cancelled.
  package func wait() async {
    let answer = Promise<Void>()
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
