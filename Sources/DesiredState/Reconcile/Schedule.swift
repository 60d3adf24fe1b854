/// When a source is looked at.
public struct Schedule: Sendable, Hashable {
  /// The time from one look to the next. Default 30 seconds.
  public var interval: Duration
  /// How far each interval may be off, as a part of it: 0.1 spreads a fleet over ±10 %. Default 0.1.
  public var jitter: Double

  public init(interval: Duration = .seconds(30), jitter: Double = 0.1) {
    self.interval = interval
    self.jitter = min(max(jitter, 0), 1)
  }

  /// How long to wait for the next look.
  ///
  /// - Parameter random: a number from 0 to 1.
  func wait(random: Double) -> Duration { interval * (1 + jitter * (2 * random - 1)) }
}
