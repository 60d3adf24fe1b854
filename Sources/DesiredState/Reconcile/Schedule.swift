import DesiredStateSupport
import FoundationEssentials

/// When sources are looked at, and when what they publish may be applied.
///
/// Times of the day are those of the device's clock. A clock that is wrong (1970, after a flat battery) reaches them
/// within a day all the same.
public struct Schedule: Sendable, Hashable {
  let interval: Duration
  let jitter: Double
  let startSpread: Duration
  let hours: WeeklyHours?
  let downtime: WeeklyHours?
  let applyHours: WeeklyHours?
  let holdsUpdates: Bool
  let leastHintInterval: Duration
  let longestBackoff: Duration
  let longestBackoffForPerson: Duration

  /// A schedule of these parts; by default a poll every 30 seconds at any hour.
  ///
  /// - Parameters:
  ///   - interval: the time from one poll to the next.
  ///   - jitter: how far each interval may be off, as a part of it: 0.1 spreads a fleet over ±10 %.
  ///   - startSpread: the first poll of a process comes after a part of this time, by chance: a fleet that starts together,
  ///     after a power cut, does not look together.
  ///   - hours: when sources are looked at; nil: at any time. Acknowledgements are sent at any time.
  ///   - downtime: when nothing is contacted, because it is known to be down; nil: never.
  ///   - applyHours: when an adopted state may be applied; nil: at any time. States are fetched, verified and adopted at any
  ///     time.
  ///   - holdsUpdates: whether an adopted state waits for ``Reconciler/approve()`` before it is applied.
  ///   - leastHintInterval: the least time between two polls that hints bring about.
  ///   - longestBackoff: how long a source that fails is left alone: at first for the interval, then for longer and longer, up
  ///     to this, and never less than the interval.
  ///   - longestBackoffForPerson: the same for a source that fails until a person does something: bad credentials, an
  ///     untrusted certificate.
  public init(
    interval: Duration = .seconds(30), jitter: Double = 0.1, startSpread: Duration = .zero, hours: WeeklyHours? = nil,
    downtime: WeeklyHours? = nil, applyHours: WeeklyHours? = nil, holdsUpdates: Bool = false,
    leastHintInterval: Duration = .seconds(1), longestBackoff: Duration = .seconds(300),
    longestBackoffForPerson: Duration = .seconds(3600)
  ) {
    self.interval = interval
    self.jitter = min(max(jitter, 0), 1)
    self.startSpread = startSpread
    self.hours = hours
    self.downtime = downtime
    self.applyHours = applyHours
    self.holdsUpdates = holdsUpdates
    self.leastHintInterval = leastHintInterval
    self.longestBackoff = longestBackoff
    self.longestBackoffForPerson = longestBackoffForPerson
  }

  /// How long to wait for the next poll.
  ///
  /// - Parameter random: a number from 0 to 1.
  func wait(random: Double) -> Duration { interval * (1 + jitter * (2 * random - 1)) }

  /// How long a source is left alone after an error.
  func backoff(for remedy: Remedy) -> Backoff {
    switch remedy {
    case .person:
      Backoff(
        first: min(interval * 8, max(interval, longestBackoffForPerson)),
        longest: max(interval, longestBackoffForPerson))
    case .waiting, .waitingFor, .nothing: Backoff(first: interval, longest: max(interval, longestBackoff))
    }
  }

  /// Until when sources are left alone at a time: nil if they may be looked at.
  func restsUntil(_ now: Date) -> Date? {
    var time = now
    // Each step leads out of one of the two; a week of them is enough to see that there is no way out.
    for _ in 0..<64 {
      if let downtime, downtime.contains(time) {
        time = downtime.end(from: time)
      } else if let hours, !hours.contains(time) {
        time = hours.next(from: time)
      } else {
        return time == now ? nil : time
      }
    }
    return time
  }
}
