import DesiredStateSupport
package import FoundationEssentials

/// Times of the week, by the wall clock of a place: when a source is looked at, or an update may be applied.
///
/// As text: `22:00-04:00`, `Sat,Sun 00:00-24:00`, `Mon-Fri 12:00-13:00`; several are separated by `;`. A time that ends
/// before it begins, or when it begins, ends on the next day; its weekday is that of its beginning. Where clocks are set
/// forward, times that the day does not have are left out; where they are set back, times that it has twice count twice.
public struct WeeklyHours: Sendable, Hashable {
  /// Minutes of the week from Monday 00:00, sorted and apart from each other; the last may reach beyond the week's end.
  private let ranges: [Range<Int>]
  /// The place.
  package let zone: TimeZoneRules

  private static let week = 7 * 24 * 60
  private static let weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

  /// Reads times of the week.
  ///
  /// - Throws: ``ScheduleError`` if the text cannot be read.
  public init(_ text: String, in zone: TimeZoneRules = .utc) throws(ScheduleError) {
    var minutes: [Range<Int>] = []
    for part in text.split(separator: ";", omittingEmptySubsequences: false) {
      let words = part.split(separator: " ")
      guard let hours = words.last.flatMap(Self.hours), let days = Self.days(words.dropLast()) else {
        throw ScheduleError(
          .malformed,
          "\(quoted(text)) is no time of the day; write 22:00-04:00, or with weekdays 'Sat,Sun 00:00-24:00', several separated by ';'"
        )
      }
      for day in days { minutes.append(day * 1440 + hours.lowerBound..<day * 1440 + hours.upperBound) }
    }
    ranges = minutes.sorted { $0.lowerBound < $1.lowerBound }
    self.zone = zone
  }

  /// The same times of the week by the wall clock of another place.
  package func inZone(_ zone: TimeZoneRules) -> WeeklyHours { WeeklyHours(ranges: ranges, zone: zone) }

  private init(ranges: [Range<Int>], zone: TimeZoneRules) { (self.ranges, self.zone) = (ranges, zone) }

  private static func hours(_ text: Substring) -> Range<Int>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(minute)
    guard ends.count == 2, let start = ends[0], let end = ends[1], start < 1440 else { return nil }
    return start..<(end <= start ? end + 1440 : end)
  }

  private static func minute(_ text: Substring) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ (1...2).contains($0.utf8.count) && $0.allSatisfy(\.isNumber) }),
      parts[1].utf8.count == 2, let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60,
      hour * 60 + minute <= 1440
    else { return nil }
    return hour * 60 + minute
  }

  private static func days(_ words: ArraySlice<Substring>) -> Set<Int>? {
    guard !words.isEmpty else { return Set(0..<7) }
    var days: Set<Int> = []
    for item in words.joined(separator: ",").split(separator: ",") {
      let ends = item.split(separator: "-", omittingEmptySubsequences: false)
        .map { weekdays.firstIndex(of: $0.lowercased()) }
      guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else { return nil }
      days.formUnion((first...(last < first ? last + 7 : last)).map { $0 % 7 })
    }
    return days
  }

  /// Whether a time is among them.
  package func contains(_ date: Date) -> Bool { contains(minute: localMinute(of: date, offset: zone.offset(at: date))) }

  /// The first time from `date` on that is among them.
  package func next(from date: Date) -> Date { nextChange(from: date, to: true) }

  /// The first time from `date` on that is not among them; a week later if all times are.
  package func end(from date: Date) -> Date { nextChange(from: date, to: false) }

  private func contains(minute: Int) -> Bool {
    ranges.contains { $0.contains(minute) || $0.contains(minute + Self.week) }
  }

  /// The minute of the week that the place's clocks show.
  private func localMinute(of date: Date, offset: Int) -> Int {
    let seconds = Int(date.timeIntervalSince1970.rounded(.down)) + offset
    // 1970-01-01 was a Thursday, three days after a Monday.
    let minutes = seconds.flooredDivision(by: 60) + 3 * 1440
    return minutes - minutes.flooredDivision(by: Self.week) * Self.week
  }

  private func nextChange(from date: Date, to isIn: Bool) -> Date {
    if contains(date) == isIn { return date }
    let offset = zone.offset(at: date)
    let minute = localMinute(of: date, offset: offset)
    guard let wait = (1...Self.week).first(where: { contains(minute: (minute + $0) % Self.week) == isIn }) else {
      return date.addingTimeInterval(7 * 86400)
    }
    let start = (date.timeIntervalSince1970 / 60).rounded(.down) * 60
    let candidate = Date(timeIntervalSince1970: start + Double(wait) * 60)
    if zone.offset(at: candidate) == offset { return candidate }
    // Clocks are set on the way: minute by minute, which is rare and right.
    for step in 1...(Self.week + 1440) {
      let date = Date(timeIntervalSince1970: start + Double(step) * 60)
      if contains(date) == isIn { return date }
    }
    return candidate
  }
}
