import Dispatch

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
    // Sound: a work item may be cancelled from any thread, it is only not marked so on Linux.
    nonisolated(unsafe) let alarm = timeout.map { _ in
      DispatchWorkItem { answer.give(.failure(WorkerTimeout())) }
    }
    if let alarm, let timeout {
      DispatchQueue.global().asyncAfter(deadline: .now() + timeout.timeInterval, execute: alarm)
    }
    queue.async {
      // Given up while it waited its turn: not started at all.
      guard !answer.isGiven else { return }
      answer.give(Result { try work() })
      alarm?.cancel()
    }
    return try await answer.value()
  }
}

/// A blocking call took longer than its caller wanted to wait.
package struct WorkerTimeout: Error {}

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
