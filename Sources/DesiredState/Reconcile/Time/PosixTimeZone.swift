import DesiredStateSupport

/// A time zone as the TZ environment variable of POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
///
/// The extension of RFC 9636 section 3.3.1 is understood as well: hours from -167 to 167.
struct PosixTimeZone: Sendable, Hashable {
  /// Seconds ahead of UTC in winter.
  let standardOffset: Int
  private let daylight: Daylight?

  private struct Daylight: Sendable, Hashable {
    var offset: Int
    var start: Change
    var end: Change
  }

  /// The day of a year, and the seconds after its local midnight, at which clocks are set.
  private struct Change: Sendable, Hashable {
    enum Day: Sendable, Hashable {
      /// `Jn`: 1 to 365, February 29 never counted.
      case julian(Int)
      /// `n`: 0 to 365, February 29 counted.
      case ordinal(Int)
      /// `Mm.w.d`: the week-th (5: the last) weekday (0: Sunday) of a month.
      case monthly(month: Int, week: Int, weekday: Int)
    }
    var day: Day
    var time: Int
  }

  init?(_ text: String) {
    var parser = Parser(rest: text[...])
    guard parser.name(), let west = parser.time() else { return nil }
    standardOffset = -west
    guard !parser.rest.isEmpty else {
      daylight = nil
      return
    }
    guard parser.name() else { return nil }
    var offset = standardOffset + 3600
    if let first = parser.rest.first, first != "," {
      guard let west = parser.time() else { return nil }
      offset = -west
    }
    guard let start = parser.change(), let end = parser.change(), parser.rest.isEmpty else { return nil }
    daylight = Daylight(offset: offset, start: start, end: end)
  }

  /// Seconds ahead of UTC at a time in seconds since 1970.
  func offset(at time: Int64) -> Int {
    guard let daylight else { return standardOffset }
    let year = CivilDate(daysSince1970: Int((time + Int64(standardOffset)).flooredDivision(by: 86400))).year
    // In UTC: daylight saving begins by winter's clocks and ends by summer's.
    let start = instant(of: daylight.start, in: year, offset: standardOffset)
    let end = instant(of: daylight.end, in: year, offset: daylight.offset)
    let isDaylight = start < end ? (start..<end).contains(time) : !(end..<start).contains(time)
    return isDaylight ? daylight.offset : standardOffset
  }

  private func instant(of change: Change, in year: Int, offset: Int) -> Int64 {
    let newYear = CivilDate(year: year, month: 1, day: 1).daysSince1970
    let day: Int
    switch change.day {
    case .julian(let number): day = newYear + number - 1 + (CivilDate.isLeap(year) && number >= 60 ? 1 : 0)
    case .ordinal(let number): day = newYear + number
    case .monthly(let month, let week, let weekday):
      let first = CivilDate(year: year, month: month, day: 1).daysSince1970
      // 1970-01-01 was a Thursday.
      let toFirst = (weekday - (first + 4) % 7 + 14) % 7
      var candidate = first + toFirst + 7 * (week - 1)
      let next = CivilDate(year: month == 12 ? year + 1 : year, month: month % 12 + 1, day: 1).daysSince1970
      while candidate >= next { candidate -= 7 }
      day = candidate
    }
    return Int64(day) * 86400 + Int64(change.time) - Int64(offset)
  }

  private struct Parser {
    var rest: Substring

    /// Three letters or more, or anything in angle brackets.
    mutating func name() -> Bool {
      if rest.first == "<" {
        guard let end = rest.firstIndex(of: ">"), rest.distance(from: rest.startIndex, to: end) > 3 else {
          return false
        }
        rest = rest[rest.index(after: end)...]
        return true
      }
      let letters = rest.prefix { $0.isASCII && $0.isLetter }
      guard letters.count >= 3 else { return false }
      rest = rest.dropFirst(letters.count)
      return true
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int? {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard digits.count <= 3, let number = Int(digits), range.contains(number) else { return nil }
      rest = rest.dropFirst(digits.count)
      return number
    }

    mutating func skip(_ character: Character) -> Bool {
      guard rest.first == character else { return false }
      rest = rest.dropFirst()
      return true
    }

    /// `[+-]hh[:mm[:ss]]`, in seconds.
    mutating func time() -> Int? {
      let isNegative = rest.first == "-"
      if isNegative || rest.first == "+" { rest = rest.dropFirst() }
      guard let hours = number(0...167) else { return nil }
      var seconds = hours * 3600
      for unit in [60, 1] where skip(":") {
        guard let part = number(0...59) else { return nil }
        seconds += part * unit
      }
      return isNegative ? -seconds : seconds
    }

    mutating func change() -> Change? {
      guard skip(",") else { return nil }
      let day: Change.Day
      if skip("M") {
        guard let month = number(1...12), skip("."), let week = number(1...5), skip("."), let weekday = number(0...6)
        else { return nil }
        day = .monthly(month: month, week: week, weekday: weekday)
      } else if skip("J") {
        guard let number = number(1...365) else { return nil }
        day = .julian(number)
      } else {
        guard let number = number(0...365) else { return nil }
        day = .ordinal(number)
      }
      var time = 7200
      if skip("/") {
        guard let given = self.time() else { return nil }
        time = given
      }
      return Change(day: day, time: time)
    }
  }
}
