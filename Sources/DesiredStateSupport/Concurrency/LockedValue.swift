import Glibc

/// A value behind a lock.
///
/// By pthread_mutex(3) and not `Synchronization.Mutex`: the thread sanitizer cannot see a contended `Mutex` (on Linux the
/// kernel passes it on) and reports races where there are none. A transport hands every chunk from one thread to another,
/// so that its locks are often contended.
///
/// `@unchecked Sendable` is sound because the value is only ever touched with the mutex held.
package final class LockedValue<Value: Sendable>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  package init(_ value: Value) {
    self.value = value
    // On the heap: a pthread mutex must not move.
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Runs `body` with the lock held: short work, and never a wait.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
