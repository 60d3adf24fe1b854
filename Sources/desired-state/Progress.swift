import DesiredStateSupport
import Glibc

/// How far long work is, on the last line of a terminal: bytes, rate, and the time that remains. Elsewhere it shows nothing.
final class Progress: Sendable {
  private struct State {
    var done: UInt64 = 0
    var total: UInt64?
    var begun: ContinuousClock.Instant?
    var shown: ContinuousClock.Instant?
    var isVisible = false
  }

  private let verb: String
  private let state: LockedValue<State>

  /// Work that takes less than this long is over before a person could read of it.
  private static let patience = Duration.milliseconds(500)

  /// - Parameters:
  ///   - verb: what is done, in one word: "reading".
  ///   - total: how many bytes there are to it, if that is known.
  init(_ verb: String, of total: UInt64? = nil) {
    self.verb = verb
    state = LockedValue(State(total: total))
  }

  /// So many bytes more are done, of a total that may be known only now.
  func add(_ count: Int, of total: UInt64? = nil) {
    guard Terminal.canOverwrite else { return }
    let line = state.withLock { state -> String? in
      state.done += UInt64(count)
      state.total = total ?? state.total
      let now = ContinuousClock.now
      let begun = state.begun ?? now
      state.begun = begun
      guard now - begun > Self.patience, state.shown.map({ now - $0 > .milliseconds(200) }) ?? true else { return nil }
      (state.shown, state.isVisible) = (now, true)
      return Self.line(verb, state.done, state.total, now - begun)
    }
    if let line { Self.write("\r\u{1b}[K" + line.prefix(Terminal.width - 1)) }
  }

  /// Clears the line, for what is said next.
  func end() {
    let wasVisible = state.withLock { state in
      defer { state.isVisible = false }
      return state.isVisible
    }
    if wasVisible { Self.write("\r\u{1b}[K") }
  }

  /// `reading 12.0 of 64.0 MiB (18%), 3.1 MiB/s, 17s left`
  static func line(_ verb: String, _ done: UInt64, _ total: UInt64?, _ time: Duration) -> String {
    let seconds = max(Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18, 0.001)
    let rate = Double(done) / seconds
    guard let total, total >= done, total > 0 else { return "\(verb) \(size(Double(done))), \(size(rate))/s" }
    let left = rate > 0 ? Double(total - done) / rate : 0
    return
      "\(verb) \(size(Double(done))) of \(size(Double(total))) (\(done * 100 / total)%), \(size(rate))/s, \(span(left)) left"
  }

  private static func size(_ bytes: Double) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var (value, unit) = (bytes, 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let tenths = Int((value * 10).rounded())
    return unit == 0 ? "\(Int(value)) B" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  private static func span(_ seconds: Double) -> String {
    let seconds = Int(min(seconds, 1e9).rounded(.up))
    if seconds < 100 { return "\(seconds)s" }
    return seconds < 6000 ? "\(seconds / 60)m" : "\(seconds / 3600)h"
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    // A terminal that takes no more misses a line that the next one replaces.
    _ = bytes.withUnsafeBytes { Glibc.write(2, $0.baseAddress, $0.count) }
  }
}
