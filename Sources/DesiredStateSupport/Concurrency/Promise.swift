/// A value that one task waits for and that counts the first time it is given: by the work itself, by an alarm, or by
/// the cancellation of the one who waits.
package final class Promise<Value: Sendable>: Sendable {
  private enum State {
    case open
    case waiting(CheckedContinuation<Value, any Error>)
    case given(Result<Value, any Error>?)
  }
  private let state = LockedValue(State.open)

  package init() {}

  package var isGiven: Bool {
    state.withLock { if case .given = $0 { true } else { false } }
  }

  /// Waits for the value; called once.
  package func value() async throws -> Value {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let early = state.withLock { state -> Result<Value, any Error>? in
          if case .given(let result) = state {
            // An alarm may hold on to this until its time comes; the value, a document's bytes, must not wait for it.
            state = .given(nil)
            return result
          }
          state = .waiting(continuation)
          return nil
        }
        if let early { continuation.resume(with: early) }
      }
    } onCancel: {
      give(.failure(CancellationError()))
    }
  }

  package func give(_ result: Result<Value, any Error>) {
    let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
      switch state {
      case .open:
        state = .given(result)
        return nil
      case .waiting(let continuation):
        state = .given(nil)
        return continuation
      case .given:
        return nil
      }
    }
    continuation?.resume(with: result)
  }
}
