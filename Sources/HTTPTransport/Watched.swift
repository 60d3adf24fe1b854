/// A value and the tasks that wait for it to change.
///
/// Nothing is lost between looking and waiting: a task names the version it looked at, and does not sleep when that has
/// passed.
struct Watched<Value: Sendable>: Sendable {
  var value: Value
  private var version: UInt64 = 0
  private var waiters: [CheckedContinuation<Void, Never>] = []

  init(_ value: Value) { self.value = value }

  /// Marks a change; resume the returned tasks after the lock is let go.
  mutating func changed() -> [CheckedContinuation<Void, Never>] {
    version &+= 1
    defer { waiters = [] }
    return waiters
  }

  var seen: UInt64 { version }

  /// False when the value has changed since it was looked at: then look again instead of waiting.
  mutating func wait(_ waiter: CheckedContinuation<Void, Never>, since seen: UInt64) -> Bool {
    guard seen == version else { return false }
    waiters.append(waiter)
    return true
  }
}
