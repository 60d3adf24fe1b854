import FoundationEssentials
import Synchronization

/// Which sources asked not to be looked at for a while (`Retry-After` of RFC 9110, in HTTP's case).
///
/// Kept in memory only: after a restart a source is asked once more, and asks for patience again if it still needs it.
final class Patience: Sendable {
  private struct Request {
    var asked: Date
    var until: Date
    var outcome: Reconciler.Outcome
  }
  private let requests = Mutex<[String: Request]>([:])

  /// Notes how a look went, and how long the source asked to be left alone; nothing if it did not.
  func note(_ outcome: Reconciler.Outcome, of source: String, for time: Duration?, at now: Date) {
    guard let time, time > .zero else { return }
    requests.withLock {
      $0[source] = Request(asked: now, until: now.addingTimeInterval(time / .seconds(1)), outcome: outcome)
    }
  }

  /// What stands for a source that is not to be looked at yet; nil if it is. A clock that was set back since is not
  /// waited for.
  func outcome(of source: String, at now: Date) -> Reconciler.Outcome? {
    requests.withLock { requests in
      guard let request = requests[source] else { return nil }
      if request.asked <= now, now < request.until { return request.outcome }
      requests[source] = nil
      return nil
    }
  }
}
