import Glibc

/// A value behind a lock.
///
/// By pthread_mutex(3) rather than `Synchronization.Mutex`: the transport hands every chunk from one
/// thread to another, so that its locks are often contended, and the thread sanitizer cannot see a
/// contended `Mutex` (on Linux the kernel passes it on) and reports races that are none.
///
/// `@unchecked Sendable` is sound because the value is only ever touched with the mutex held.
final class LockedValue<Value: Sendable>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var value: Value

  init(_ value: Value) {
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

  func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&value)
  }
}
