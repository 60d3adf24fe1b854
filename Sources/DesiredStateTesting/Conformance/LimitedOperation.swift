import Dispatch

/// Runs other people's code so that it cannot hang the kit, whatever it does.
///
/// It runs on threads of its own: a backend that blocks the thread it is called on takes none of Swift's cooperative pool
/// with it. A waiting case is let go at the limit, also if the code ignores its cancellation; it is left behind then.
enum Limited {
  /// The code did not end in time.
  struct Exceeded: Error { let limit: Duration }

  static func run<Value: Sendable>(
    _ limit: Duration, _ operation: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await Operation(operation).value(within: limit)
  }

  /// Code that was started, and can be cancelled while it runs.
  struct Operation<Value: Sendable>: Sendable {
    private let answers: AsyncStream<Result<Value, any Error>>
    private let answer: AsyncStream<Result<Value, any Error>>.Continuation
    private let task: Task<Void, Never>

    init(_ operation: @escaping @Sendable () async throws -> Value) {
      // The first answer counts, the code's own or the alarm's.
      let (answers, answer) = AsyncStream.makeStream(
        of: Result<Value, any Error>.self, bufferingPolicy: .bufferingOldest(1))
      (self.answers, self.answer) = (answers, answer)
      task = Task(executorPreference: Threads.shared) {
        do { answer.yield(.success(try await operation())) } catch { answer.yield(.failure(error)) }
      }
    }

    func cancel() { task.cancel() }

    /// What the code returned or threw. To be asked for once.
    ///
    /// - Throws: ``Exceeded``; what the code throws; `CancellationError` if the caller is cancelled.
    func value(within limit: Duration) async throws -> Value {
      let answer = answer
      let alarm = DispatchWorkItem {
        Threads.whenTimersWork(atMost: limit * 4) {
          // An answer that is late because of others has this long to come.
          Threads.alarms.asyncAfter(deadline: .now() + limit.seconds / 2) {
            answer.yield(.failure(Exceeded(limit: limit)))
          }
        }
      }
      Threads.alarms.asyncAfter(deadline: .now() + limit.seconds, execute: alarm)
      defer {
        alarm.cancel()
        answer.finish()
        task.cancel()
      }
      for await result in answers { return try result.get() }
      throw CancellationError()
    }
  }

  /// As many threads as block.
  private final class Threads: TaskExecutor {
    static let shared = Threads()
    static let alarms = DispatchQueue(label: "conformance.alarms")
    private let queue = DispatchQueue(label: "conformance", attributes: .concurrent)

    /// Calls back when Swift's own pool has a thread to spare, or at the latest after some time.
    ///
    /// Sleeping tasks are woken there. While other tests of this process block all of its threads, no sleeper is woken, and
    /// no backend can be blamed for being late.
    static func whenTimersWork(atMost limit: Duration, _ work: @escaping @Sendable () -> Void) {
      let (answers, answer) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(1))
      Task.detached { answer.yield() }
      alarms.asyncAfter(deadline: .now() + limit.seconds) { answer.yield() }
      Task(executorPreference: shared) {
        for await _ in answers { return work() }
      }
    }

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      let executor = asUnownedTaskExecutor()
      queue.async { job.runSynchronously(on: executor) }
    }
  }
}
