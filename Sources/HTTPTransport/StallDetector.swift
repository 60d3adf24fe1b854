/// Tells a transfer that moves from one that does not.
struct StallDetector {
  private var last: (instant: ContinuousClock.Instant, count: Int64)?
  /// How long it has been slow, as far as was seen.
  private var slow = Duration.zero
  var slowTime: Duration { slow }

  /// How often to measure.
  static func interval(of limit: HTTPStallLimit) -> Duration {
    min(.seconds(1), max(.milliseconds(50), limit.duration / 4))
  }

  /// Takes one measurement; true when the limit is passed.
  mutating func isOver(
    _ limit: HTTPStallLimit, count: Int64, _ now: ContinuousClock.Instant, isJudged: Bool
  ) -> Bool {
    defer { last = (now, count) }
    guard isJudged, let last else {
      slow = .zero
      return false
    }
    let elapsed = now - last.instant
    if Double(count - last.count) >= Double(limit.bytesPerSecond) * (elapsed / .seconds(1)) {
      slow = .zero
      return false
    }
    // A measurement that came late says more about this machine than about the server.
    slow += min(elapsed, Self.interval(of: limit) * 2)
    return slow >= limit.duration
  }
}
