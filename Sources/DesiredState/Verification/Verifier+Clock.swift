import CLinux
import DesiredStateSupport
package import FoundationEssentials

/// Which times are believed.
extension Verifier {
  /// How far ahead of a plausible clock a manifest may have been issued, in seconds: clocks differ, and time zones are
  /// confused, by less than a day.
  static let longestTimeJump: TimeInterval = 86_400

  /// The time before which no clock can be right: the day on which this program was built.
  package static let earliestPlausibleTime: Date =
    day(String(cString: desired_state_build_date())) ?? Date(timeIntervalSince1970: 1_790_000_000)

  /// The time at which a day begins where it begins first, 14 hours before UTC; nil if the text is not in the format of
  /// C's `__DATE__`.
  static func day(_ text: String) -> Date? {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = text.split(separator: " ")
    guard parts.count == 3, let month = months.firstIndex(of: String(parts[0])), let day = Int(parts[1]),
      let year = Int(parts[2]), (1...31).contains(day)
    else { return nil }
    let days = CivilDate(year: year, month: month + 1, day: day).daysSince1970
    return Date(timeIntervalSince1970: TimeInterval(days) * 86_400 - 14 * 3600)
  }

  /// The newest time of issue that a device believes whose clock says `now`; nil if the clock is no measure for it.
  static func latestIssue(at now: Date) -> Date? {
    now >= earliestPlausibleTime ? now.addingTimeInterval(longestTimeJump) : nil
  }

  /// The time by which a device judges whose clock says `now`: never behind the newest signed time that it believes.
  ///
  /// One manifest signed with a wrong time must not rule for years: a clock that can be right is believed.
  package static func time(_ now: Date, newestSigned: Date?) -> Date {
    max(now, min(newestSigned ?? now, latestIssue(at: now) ?? .distantFuture))
  }

  /// Refuses a manifest that claims to have been issued so far ahead of this device's clock that believing it would
  /// harm: later, honest manifests would be expired, and keys no longer valid.
  func checkIssue(_ issued: Date?) throws(VerificationError) {
    guard let issued, let latestIssue, issued > latestIssue else { return }
    throw VerificationError(
      .timeJump,
      "the manifest says that it was issued at \(Timestamp.text(issued)), more than a day after this device's clock (\(Timestamp.text(latestIssue.addingTimeInterval(-Self.longestTimeJump)))); publish it again with the right time, or set this device's clock"
    )
  }
}
