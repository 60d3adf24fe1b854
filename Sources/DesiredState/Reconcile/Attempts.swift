import DesiredStateSupport

/// What failed how often in a row, and when it may be tried again. Time here is a length since the start of the
/// process: setting the wall clock changes nothing about it.
struct Attempts: Sendable {
  private(set) var failures = 0
  /// The earliest time for the next attempt.
  private(set) var notBefore: Duration = .zero

  init(failures: Int = 0, notBefore: Duration = .zero) { (self.failures, self.notBefore) = (failures, notBefore) }

  mutating func succeed() { self = Attempts() }

  mutating func fail(at now: Duration, waiting backoff: Backoff, random: Double) {
    failures += 1
    notBefore = now + backoff.wait(afterFailures: failures, random: random)
  }

  /// Lets the next attempt be made at once; how many failed is kept.
  mutating func hurry() { notBefore = .zero }

  func isDue(at now: Duration) -> Bool { notBefore <= now }
}

/// How much time has passed on a clock since it was started.
struct Stopwatch: Sendable {
  private let read: @Sendable () -> Duration

  init(_ clock: some Clock<Duration>) {
    let start = clock.now
    read = { start.duration(to: clock.now) }
  }

  var elapsed: Duration { read() }
}
