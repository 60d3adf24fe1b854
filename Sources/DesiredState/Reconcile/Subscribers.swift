import DesiredStateSupport

/// Those who read a sequence of events, each at its own speed.
final class Subscribers<Event: Sendable>: Sendable {
  private struct State {
    var next = 0
    var continuations: [Int: AsyncStream<Event>.Continuation] = [:]
  }
  private let state = LockedValue(State())

  deinit {
    for continuation in state.withLock({ $0.continuations.values }) { continuation.finish() }
  }

  func stream(bufferingNewest count: Int) -> AsyncStream<Event> {
    AsyncStream(bufferingPolicy: .bufferingNewest(max(1, count))) { continuation in
      let id = state.withLock { state in
        state.next += 1
        state.continuations[state.next] = continuation
        return state.next
      }
      continuation.onTermination = { [weak self] _ in
        self?.state.withLock { _ = $0.continuations.removeValue(forKey: id) }
      }
    }
  }

  func send(_ event: Event) {
    // Outside the lock: a continuation may call its termination handler.
    for continuation in state.withLock({ Array($0.continuations.values) }) { continuation.yield(event) }
  }
}
