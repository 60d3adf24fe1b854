package import FoundationEssentials

/// Dates and times as RFC 3339 writes them.
package enum Timestamp {
  /// In UTC, to the second: `2026-11-22T10:00:00Z`.
  package static func text(_ date: Date) -> String { Date.ISO8601FormatStyle().format(date) }

  /// Any RFC 3339 date-time, with or without a fraction of a second; nil if it is not of that form, if more follows it, or if no
  /// calendar has it.
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
    guard rest.isEmpty, year > 0, (1...12).contains(month), (1...days(in: month, of: year)).contains(day), hour < 24,
      minute < 60
    else { return nil }
    let minutes = (daysSince1970(year, month, day) * 24 + hour) * 60 + minute - offset
    // A leap second is the last one of a day in UTC.
    guard second < 60 || second == 60 && (minutes % 1440 + 1440) % 1440 == 1439 else { return nil }
    return Date(timeIntervalSince1970: Double(minutes * 60 + second) + fraction)
  }

  private static func days(in month: Int, of year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// In the Gregorian calendar, also before it was introduced. March is the first month here, so that a leap day is a
  /// year's last.
  private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let year = month > 2 ? year : year - 1
    let month = month > 2 ? month - 3 : month + 9
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
  }
}
