import Glibc

/// A value behind a lock: the one lock of this package.
///
/// By pthread_mutex(3) and not `Synchronization.Mutex`, which on Linux keeps the thread's number in a thread-local variable and is
/// inlined: in an optimised async function its address is kept across an `await` (Swift 6.2), so that the lock is then taken in
/// the name of another thread, and the process may trap or wait for itself. The thread sanitizer cannot see a contended `Mutex`
/// either, because the kernel passes it on.
///
/// `@unchecked Sendable` is sound because the value is only ever touched with the mutex held, and nothing of it leaves.
package final class LockedValue<Value>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  package init(_ value: sending Value) {
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
    _ body: (inout sending Value) throws(Failure) -> sending Result
  ) throws(Failure) -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
