/// How long to wait before something that failed is tried again: twice as long after each failure, up to a limit, and
/// never the same for two devices, so that a fleet does not come back as one.
package struct Backoff: Sendable, Hashable {
  /// The longest wait after the first failure.
  package var first: Duration
  /// The longest wait of all.
  package var longest: Duration

  package init(first: Duration, longest: Duration) {
    self.first = max(first, .milliseconds(1))
    self.longest = max(longest, self.first)
  }

  /// The wait after a number of failures in a row: from half of the full wait to all of it.
  ///
  /// - Parameter random: a number from 0 to 1.
  package func wait(afterFailures failures: Int, random: Double) -> Duration {
    guard failures > 0 else { return .zero }
    return fullWait(afterFailures: failures) * (0.5 + 0.5 * min(max(random, 0), 1))
  }

  /// The same without chance: for waits that another side asked for, and that are not cut short.
  package func fullWait(afterFailures failures: Int) -> Duration {
    // 2^40 times a millisecond is 35 years; further doubling would only overflow.
    failures > 0 ? min(longest, first * (1 << min(failures - 1, 40))) : .zero
  }
}
