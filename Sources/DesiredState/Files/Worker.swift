import Dispatch
import Synchronization

/// A thread for calls that block, so that none ever runs on Swift's cooperative pool.
///
/// One call runs at a time. Whoever waits is let go at once by cancellation, and by the time limit, even if the call
/// itself is stuck in the kernel (a network file system whose server is gone); what it returns later is dropped.
package final class Worker: Sendable {
  private let queue: DispatchQueue

  package init(_ label: String) { queue = DispatchQueue(label: label) }

  /// Runs `work` on the thread and returns what it returns.
  ///
  /// - Throws: what `work` throws; `CancellationError`; ``WorkerTimeout`` when `timeout` has passed.
  package func run<Value: Sendable>(
    timeout: Duration? = nil, _ work: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    let answer = Answer<Value>()
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        guard answer.wait(continuation) else { return }
        var alarm: DispatchWorkItem?
        if let timeout {
          let item = DispatchWorkItem { answer.give(.failure(WorkerTimeout())) }
          DispatchQueue.global().asyncAfter(deadline: .now() + timeout.timeInterval, execute: item)
          alarm = item
        }
        // Sound: a work item may be cancelled from any thread, it is only not marked so on Linux.
        nonisolated(unsafe) let started = alarm
        queue.async {
          // Given up while it waited its turn: not started at all.
          guard !answer.isGiven else { return }
          let result = Result { try work() }
          started?.cancel()
          answer.give(result)
        }
      }
    } onCancel: {
      answer.give(.failure(CancellationError()))
    }
  }
}

/// A blocking call took longer than its caller wanted to wait.
package struct WorkerTimeout: Error {}

/// The first answer counts, whether it is the result, the alarm or the cancellation.
private final class Answer<Value: Sendable>: Sendable {
  private enum State {
    case open
    case waiting(CheckedContinuation<Value, any Error>)
    case given(Result<Value, any Error>?)
  }
  private let state = Mutex(State.open)

  var isGiven: Bool {
    state.withLock { if case .given = $0 { true } else { false } }
  }

  /// False if the answer was there before anybody waited; the continuation is resumed with it then.
  func wait(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
    let early = state.withLock { state -> Result<Value, any Error>? in
      if case .given(let result) = state { return result }
      state = .waiting(continuation)
      return nil
    }
    guard let early else { return true }
    continuation.resume(with: early)
    return false
  }

  func give(_ result: Result<Value, any Error>) {
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

extension Duration {
  /// In seconds, for interfaces that count in a floating-point number of them.
  package var timeInterval: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}

/// Runs an actor's jobs on a thread of its own, where they may block.
package final class BlockingExecutor: SerialExecutor {
  private let queue: DispatchQueue

  package init(_ label: String) { queue = DispatchQueue(label: label) }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedSerialExecutor()
    queue.async { job.runSynchronously(on: executor) }
  }
}
