import Dispatch

/// Someone who waits for a change, in a task or on a thread of their own.
enum Waiter: Sendable {
  case task(CheckedContinuation<Void, Never>)
  case thread(DispatchSemaphore)

  func wake() {
    switch self {
    case .task(let continuation): continuation.resume()
    case .thread(let semaphore): semaphore.signal()
    }
  }
}

/// A value with a lock around it and people waiting for it to change.
///
/// Nothing is lost between looking and waiting: a waiter names the version it looked at, and does
/// not sleep when that has passed.
struct Watched<Value: Sendable>: Sendable {
  var value: Value
  private var version: UInt64 = 0
  private var waiters: [Waiter] = []

  init(_ value: Value) { self.value = value }

  /// Marks a change; wake the returned waiters after the lock is let go.
  mutating func changed() -> [Waiter] {
    version &+= 1
    defer { waiters = [] }
    return waiters
  }

  var seen: UInt64 { version }

  /// False when the value has changed since it was looked at: then look again instead of waiting.
  mutating func wait(_ waiter: Waiter, since seen: UInt64) -> Bool {
    guard seen == version else { return false }
    waiters.append(waiter)
    return true
  }
}
