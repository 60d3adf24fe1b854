import DesiredStateSupport
import FoundationEssentials

/// Which sources asked to be left alone for a while (`Retry-After` of RFC 9110, in HTTP's case), and what stands meanwhile.
///
/// Kept in memory only: after a restart a source is asked once more, and asks for patience again if it still needs it.
final class RetryAfterTable<Value: Sendable>: Sendable {
  private struct Request {
    var asked: Date
    var until: Date
    var value: Value
  }
  private let requests = LockedValue<[String: Request]>([:])

  /// Notes what a source said, and how long it asked to be left alone; nothing if it did not.
  func note(_ value: Value, of source: String, for time: Duration?, at now: Date) {
    guard let time, time > .zero else { return }
    requests.withLock {
      $0[source] = Request(asked: now, until: now.addingTimeInterval(time / .seconds(1)), value: value)
    }
  }

  /// What stands for a source that is not to be asked yet; nil if it is. A clock that was set back since is not
  /// waited for.
  func value(of source: String, at now: Date) -> Value? {
    requests.withLock { requests in
      guard let request = requests[source] else { return nil }
      if request.asked <= now, now < request.until { return request.value }
      requests[source] = nil
      return nil
    }
  }
}
