package import FoundationEssentials

/// Dates and times as RFC 3339 writes them.
package enum Timestamp {
  /// In UTC, to the second: `2026-11-22T10:00:00Z`.
  ///
  /// By the calendar that ``parse(_:)`` reads by, so that every time it reads is read again from its text. Foundation's own style
  /// has the Julian calendar before 1582, which RFC 3339 has not.
  package static func text(_ date: Date) -> String {
    // Every time that can be written with four digits for the year, and what is beyond in more.
    let seconds = Int(max(-1e15, min(1e15, date.timeIntervalSince1970.rounded(.down))))
    let days = seconds.flooredDivision(by: 86_400)
    let second = seconds - days * 86_400
    let date = CivilDate(daysSince1970: days)
    let time = [second / 3600, second / 60 % 60, second % 60].map { CivilDate.digits($0) }.joined(separator: ":")
    return "\(date)T\(time)Z"
  }

  /// Whether a time in UTC has a year of four digits, as RFC 3339 wants it. An offset can lead beyond that.
  package static func canWrite(_ date: Date) -> Bool {
    (-62_135_596_800..<253_402_300_800).contains(date.timeIntervalSince1970)
  }

  /// Any RFC 3339 date-time, with or without a fraction of a second; nil if it is not of that form, if more follows it, if no
  /// calendar has it, or if ``text(_:)`` could not write it.
  ///
  /// Section 5.6 allows `t` and `z` in lower case. A leap second counts as the second after it.
  package static func parse(_ text: String) -> Date? {
    var rest = Array(text.utf8)[...]
    func take(_ count: Int) -> Int? {
      let digits = rest.prefix(count)
      guard digits.count == count, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      rest = rest.dropFirst(count)
      return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
    func take(_ one: Character, or other: Character? = nil) -> Bool {
      guard let byte = rest.first, byte == one.asciiValue || byte == other?.asciiValue else { return false }
      rest = rest.dropFirst()
      return true
    }
    guard let year = take(4), take("-"), let month = take(2), take("-"), let day = take(2), take("T", or: "t"),
      let hour = take(2), take(":"), let minute = take(2), take(":"), let second = take(2)
    else { return nil }
    var fraction = 0.0
    if take(".") {
      let digits = rest.prefix { (0x30...0x39).contains($0) }
      guard !digits.isEmpty, let value = Double("0." + String(decoding: digits.prefix(17), as: UTF8.self)) else {
        return nil
      }
      fraction = value
      rest = rest.dropFirst(digits.count)
    }
    var offset = 0
    if !take("Z", or: "z") {
      let sign = take("+") ? 1 : take("-") ? -1 : 0
      guard sign != 0, let hours = take(2), take(":"), let minutes = take(2), hours < 24, minutes < 60 else {
        return nil
      }
      offset = sign * (hours * 60 + minutes)
    }
    guard rest.isEmpty, year > 0, (1...12).contains(month), (1...CivilDate.days(in: month, of: year)).contains(day),
      hour < 24, minute < 60
    else { return nil }
    let minutes = (CivilDate(year: year, month: month, day: day).daysSince1970 * 24 + hour) * 60 + minute - offset
    // A leap second is the last one of a day in UTC.
    guard second < 60 || second == 60 && (minutes % 1440 + 1440) % 1440 == 1439 else { return nil }
    let time = Date(timeIntervalSince1970: Double(minutes * 60 + second) + fraction)
    return canWrite(time) ? time : nil
  }
}
