import DesiredStateSupport
import FoundationEssentials
import Glibc

/// The times in an `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS, `valid-after`).
enum AllowedSignersTimestamp {
  /// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, in UTC when `Z` or `UTC` follows and in the system's time
  /// zone when not. Nil for anything else, for a day or a time that no calendar has, and for the first second of 1970
  /// and the one before.
  ///
  /// ssh-keygen takes a local time to be standard time also in summer; so does this, or the two would disagree about
  /// the same file by an hour.
  static func parse(_ text: String) -> Date? {
    let digits = text.utf8.prefix { (0x30...0x39).contains($0) }.map { Int($0 - 0x30) }
    let zone = String(decoding: text.utf8.dropFirst(digits.count), as: UTF8.self).lowercased()
    guard [8, 12, 14].contains(digits.count), ["", "z", "utc"].contains(zone) else { return nil }
    func number(_ range: Range<Int>) -> Int {
      digits[range].reduce(0) { $0 * 10 + $1 }
    }
    let (year, month, day) = (number(0..<4), number(4..<6), number(6..<8))
    let (hour, minute) = digits.count > 8 ? (number(8..<10), number(10..<12)) : (0, 0)
    let second = digits.count > 12 ? number(12..<14) : 0
    guard year >= 1970, (1...12).contains(month), (1...CivilDate.days(in: month, of: year)).contains(day), hour < 24,
      minute < 60,
      second < 60
    else { return nil }
    var time = tm()
    time.tm_year = Int32(year - 1900)
    time.tm_mon = Int32(month - 1)
    time.tm_mday = Int32(day)
    time.tm_hour = Int32(hour)
    time.tm_min = Int32(minute)
    time.tm_sec = Int32(second)
    // mktime(3): tm_isdst "zero means DST is not in effect"; -1 is returned when the time cannot be represented.
    time.tm_isdst = 0
    let seconds = zone.isEmpty ? mktime(&time) : timegm(&time)
    return seconds > 0 ? Date(timeIntervalSince1970: TimeInterval(seconds)) : nil
  }

  /// A time that `parse` read, as `YYYYMMDDHHMMSSZ`.
  static func format(_ date: Date) -> String {
    var seconds = time_t(date.timeIntervalSince1970)
    var time = tm()
    gmtime_r(&seconds, &time)
    let fields = [time.tm_mon + 1, time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec]
    return CivilDate.digits(Int(time.tm_year) + 1900, 4) + fields.map { CivilDate.digits(Int($0)) }.joined() + "Z"
  }
}
