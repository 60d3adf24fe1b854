import DesiredState
import DesiredStateSupport

/// An ``ObjectStore`` for tasks: every use of it happens on a thread that may block, one at a time.
final class AsyncObjectStore: Sendable {
  private let worker: Worker
  private let store: LockedValue<ObjectStore>

  private let error: @Sendable (LibGit2Error) -> any Error

  /// - Parameter error: the error that a failure of libgit2 is to a reader.
  init(_ store: ObjectStore, worker: Worker, error: @escaping @Sendable (LibGit2Error) -> any Error) {
    self.store = LockedValue(store)
    self.worker = worker
    self.error = error
  }

  /// Uses the store.
  ///
  /// - Throws: what `body` throws; `CancellationError`.
  func use<Value: Sendable>(_ body: @escaping @Sendable (ObjectStore) throws -> Value) async throws -> Value {
    try await worker.run { [self] in
      do {
        return try store.withLock { try body($0) }
      } catch let failure as LibGit2Error {
        throw failure.asContent ?? error(failure)
      }
    }
  }

  /// Uses another store for the same objects from now on.
  func replace(with store: ObjectStore) { self.store.withLock { $0 = store } }
}

extension LibGit2Error {
  /// Its meaning if this device and its disk are not at fault: the publication is.
  var asContent: (any Error)? {
    if isCancelled { return CancellationError() }
    if isOfPack {
      return BackendError(.protocolViolation, "the pack that came cannot be used: \(message)", isRetryable: true)
    }
    guard isOfContent else { return nil }
    return VerificationError(.manifestMalformed, "what the repository holds is not as git makes it: \(message)")
  }
}
