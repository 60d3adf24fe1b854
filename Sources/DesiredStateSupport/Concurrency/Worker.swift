import Dispatch

/// A thread for calls that block, so that none ever runs on Swift's cooperative pool.
///
/// One call runs at a time. A waiting caller is let go at once by cancellation, and by the time limit, even if the call
/// itself is stuck in the kernel (a network file system whose server is gone); what it returns later is dropped.
package final class Worker: Sendable {
  private let queue: DispatchQueue

  /// Whether the task runs on a ``BlockingThread`` already, so that a call may block where it stands.
  @TaskLocal fileprivate static var isOnBlockingThread = false

  package init(_ label: String) { queue = DispatchQueue(label: label) }

  /// Runs `work` on the thread and returns what it returns.
  ///
  /// On a ``BlockingThread`` it runs at once and where it is: moving thousands of small reads from thread to thread
  /// costs more than the reads. The caller that started that thread watches over the time.
  ///
  /// - Throws: what `work` throws; `CancellationError`; ``WorkerTimeout`` when `timeout` has passed.
  package func run<Value: Sendable>(
    timeout: Duration? = nil, _ work: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    if Self.isOnBlockingThread {
      try Task.checkCancellation()
      return try work()
    }
    let answer = Promise<Value>()
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

/// A thread for a whole task in which many calls block: everything that is not bound to an actor runs on it.
package final class BlockingThread: TaskExecutor {
  private let queue: DispatchQueue

  private init(_ label: String) { queue = DispatchQueue(label: label) }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedTaskExecutor()
    queue.async { job.runSynchronously(on: executor) }
  }

  /// Starts a task on a thread of its own.
  package static func task<Value: Sendable>(
    _ label: String, _ work: @escaping @Sendable () async throws -> Value
  ) -> Task<Value, any Error> {
    Worker.$isOnBlockingThread.withValue(true) {
      Task(executorPreference: BlockingThread(label), operation: work)
    }
  }
}
