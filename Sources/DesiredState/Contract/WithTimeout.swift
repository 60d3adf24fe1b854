import DesiredStateSupport

/// Runs an operation for at most `limit`, enforced from outside: when the time is up, or the caller is cancelled, the
/// operation is cancelled and no longer waited for, whether it heeds that or not.
///
/// - Throws: what the operation throws; ``BackendError`` with `timeout`; `CancellationError`.
public func withTimeout<Value: Sendable>(
  _ limit: Duration, clock: any Clock<Duration> = ContinuousClock(),
  _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  let answer = Promise<Value>()
  let work = Task { answer.give(await Result.of(operation)) }
  let alarm = Task {
    guard (try? await clock.sleep(for: limit, tolerance: nil)) != nil else { return }
    answer.give(.failure(BackendError(.timeout, "no answer within \(limit)")))
  }
  defer {
    alarm.cancel()
    work.cancel()
  }
  return try await answer.value()
}

extension Result where Failure == any Error {
  fileprivate static func of(_ operation: () async throws -> Success) async -> Self {
    do { return .success(try await operation()) } catch { return .failure(error) }
  }
}
