import DesiredState
import DesiredStateSupport

/// How a source's files are read: on which thread, and how long a single answer may take.
struct Access: Sendable {
  let worker: Worker
  let timeout: Duration
  /// The source, for messages.
  let source: String

  /// Runs a blocking call on the thread.
  ///
  /// - Throws: what `work` throws; `CancellationError`; ``BackendError`` with `timeout`.
  func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    do {
      return try await worker.run(timeout: timeout, work)
    } catch is WorkerTimeout {
      throw SourceFailure.timeout(source, after: timeout)
    }
  }

  /// How long one call may work before it lets others have the thread and looks whether a caller still waits for it.
  static let slice = Duration.milliseconds(250)
}
