/// Holds the received bytes to a rate, all exchanges together.
struct Throttle {
  private let rate: Int
  private var counted: Int64 = 0
  /// When the bytes so far should have come.
  private var due: ContinuousClock.Instant?

  init(_ bytesPerSecond: Int) { rate = max(1, bytesPerSecond) }

  /// - Parameter total: the bytes of all exchanges so far.
  mutating func count(_ total: Int64, _ now: ContinuousClock.Instant = .now) {
    let new = total - counted
    guard new > 0 else { return }
    counted = total
    due = max(due ?? now, now) + .seconds(Double(new) / Double(rate))
  }

  /// How long nothing is to be read, in milliseconds; nil if reading may go on.
  func pause(_ now: ContinuousClock.Instant) -> Int32? {
    guard let due, due > now else { return nil }
    return Int32(clamping: min((due - now).milliseconds + 1, 1000))
  }
}
