import DesiredStateSupport
package import FoundationEssentials
import Glibc

/// How a place's wall clocks differ from UTC, now and in years to come, daylight saving included.
///
/// FoundationEssentials knows no zone by its name, and the C library's is one for the whole process. So a zone is read
/// from the device's own zone data (TZif files, RFC 9636), or from a rule in the notation of POSIX
/// (`CET-1CEST,M3.5.0,M10.5.0/3`), for which a device needs no zone data at all.
public struct TimeZoneRules: Sendable, Hashable, CustomStringConvertible {
  /// The name or the rule it was made from.
  public let description: String
  /// When the difference changes, in seconds since 1970, oldest first, and its value from then on.
  private let transitions: [Transition]
  /// The difference before the first transition, in seconds.
  private let first: Int
  /// The rule for all times after the last transition.
  private let rule: PosixTimeZone?

  struct Transition: Sendable, Hashable {
    var time: Int64
    var offset: Int
  }

  init(description: String, transitions: [Transition], first: Int, rule: PosixTimeZone?) {
    self.description = description
    self.transitions = transitions
    self.first = first
    self.rule = rule
  }

  /// Coordinated universal time.
  public static let utc = TimeZoneRules(description: "UTC", transitions: [], first: 0, rule: nil)

  /// A zone by a rule in the notation of POSIX (the TZ environment variable).
  ///
  /// - Throws: ``ScheduleError`` if the text is no such rule.
  package init(posix text: String) throws(ScheduleError) {
    guard let rule = PosixTimeZone(text) else {
      throw ScheduleError(
        .unknownZone,
        "\(quoted(text)) is no time zone; write a name such as Europe/Berlin, a rule such as CET-1CEST,M3.5.0,M10.5.0/3, or UTC"
      )
    }
    self.init(description: text, transitions: [], first: rule.standardOffset, rule: rule)
  }

  /// The zone of a name of the IANA database (`Europe/Berlin`), of a rule in the notation of POSIX, or `UTC`.
  ///
  /// - Parameters:
  ///   - name: the name, or the rule.
  ///   - directory: where the zone data is.
  /// - Throws: ``ScheduleError`` if it is no rule and the device has no data for such a name.
  public static func named(
    _ name: String, in directory: String = "/usr/share/zoneinfo"
  ) async throws(ScheduleError) -> TimeZoneRules {
    if ["UTC", "GMT", "Z"].contains(name) { return .utc }
    let isName = name.utf8.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || "/_+-".utf8.contains($0)
    }
    if isName, !name.hasPrefix("/"), let zone = await read(Files.join(directory, name), name) { return zone }
    if let rule = try? TimeZoneRules(posix: name) { return rule }
    throw ScheduleError(
      .unknownZone,
      "the time zone \(quoted(name)) is neither in this device's zone data (\(directory), the package tzdata) nor a rule; without zone data write a rule such as CET-1CEST,M3.5.0,M10.5.0/3, or UTC"
    )
  }

  /// The zone this device is set to: that of the TZ environment variable, else of `/etc/localtime`, else UTC.
  public static func device() async -> TimeZoneRules {
    if let text = getenv("TZ").map({ String(cString: $0) }), !text.isEmpty {
      let name = text.hasPrefix(":") ? String(text.dropFirst()) : text
      if name.hasPrefix("/"), let zone = await read(name, name) { return zone }
      if let zone = try? await named(name) { return zone }
    }
    return await read("/etc/localtime", "the device's time zone") ?? .utc
  }

  private static func read(_ path: String, _ name: String) async -> TimeZoneRules? {
    // 1 MiB is four times the largest zone there is.
    let bytes = try? await Worker("desired-state.time-zone").run { try Files.read(path, limit: 1 << 20) }
    return bytes.flatMap { $0 }.flatMap { TimeZoneRules(parsing: $0, description: name) }
  }

  /// How far the zone's clocks are ahead of UTC at a time, in seconds.
  package func offset(at date: Date) -> Int {
    let time = Int64(date.timeIntervalSince1970.rounded(.down))
    guard let last = transitions.last else { return rule?.offset(at: time) ?? first }
    if time >= last.time { return rule?.offset(at: time) ?? last.offset }
    var (low, high) = (0, transitions.count)
    while low < high {
      let middle = (low + high) / 2
      if transitions[middle].time <= time { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? first : transitions[low - 1].offset
  }
}
