import Foundation
import Testing

@testable import DesiredState

@Suite("Times of the week")
struct WeeklyHoursTests {
  private func date(_ text: String) -> Date { try! Date(text, strategy: .iso8601) }

  @Test("A night's hours span midnight, and belong to the day on which they begin") func night() throws {
    let hours = try WeeklyHours("Fri 22:00-04:00")
    // 2026-11-27 is a Friday.
    #expect(!hours.contains(date("2026-11-27T21:59:59Z")))
    #expect(hours.contains(date("2026-11-27T22:00:00Z")))
    #expect(hours.contains(date("2026-11-28T03:59:59Z")))
    #expect(!hours.contains(date("2026-11-28T04:00:00Z")))
    #expect(!hours.contains(date("2026-11-28T22:00:00Z")))
    #expect(hours.next(from: date("2026-11-25T12:00:30Z")) == date("2026-11-27T22:00:00Z"))
    #expect(hours.end(from: date("2026-11-27T23:10:30Z")) == date("2026-11-28T04:00:00Z"))
    // The last night of the week reaches into the next one.
    let sunday = try WeeklyHours("Sun 22:00-04:00")
    #expect(sunday.contains(date("2026-11-30T03:00:00Z")))
    #expect(!sunday.contains(date("2026-11-30T04:00:00Z")))
  }

  @Test(
    "Weekdays, ranges of them, several times of a day",
    arguments: [
      ("Mon-Fri 12:00-13:00", "2026-11-27T12:30:00Z", true), ("Mon-Fri 12:00-13:00", "2026-11-28T12:30:00Z", false),
      ("Sat,Sun 00:00-24:00", "2026-11-29T23:59:59Z", true), ("Sat,Sun 00:00-24:00", "2026-11-30T00:00:00Z", false),
      ("fri-mon 8:00-9:00", "2026-11-30T08:00:00Z", true), ("fri-mon 8:00-9:00", "2026-12-01T08:00:00Z", false),
      ("06:00-07:00;18:00-19:00", "2026-11-30T18:30:00Z", true),
      ("06:00-07:00;18:00-19:00", "2026-11-30T12:30:00Z", false),
      ("09:00-09:00", "2026-11-30T03:00:00Z", true),
    ])
  func texts(_ text: String, _ time: String, _ isIn: Bool) throws {
    #expect(try WeeklyHours(text).contains(date(time)) == isIn)
  }

  @Test(
    "What is no time of the week is refused, and says what to write",
    arguments: [
      "", "22-04", "22:00", "24:30-01:00", "22:60-23:00", "Foo 22:00-23:00", "22:00-23:00;", "22:00 -23:00",
      "-1:00-02:00",
    ])
  func refused(_ text: String) {
    #expect { try WeeklyHours(text) } throws: { "\($0)".contains("22:00-04:00") }
  }

  @Test("Clocks that are set forward and back move the hours with them") func daylightSaving() async throws {
    let berlin = try await TimeZoneRules.named("Europe/Berlin")
    let hours = try WeeklyHours("03:00-04:00", in: berlin)
    // In March 2027 clocks go from 02:00 to 03:00 on the 28th, in October 2026 from 03:00 to 02:00 on the 25th.
    #expect(hours.next(from: date("2027-03-27T12:00:00Z")) == date("2027-03-28T01:00:00Z"))
    #expect(hours.next(from: date("2026-10-24T12:00:00Z")) == date("2026-10-25T02:00:00Z"))
    #expect(hours.next(from: date("2027-01-01T12:00:00Z")) == date("2027-01-02T02:00:00Z"))
    #expect(hours.next(from: date("2027-07-01T12:00:00Z")) == date("2027-07-02T01:00:00Z"))
    // Half past two is missing on the one day: the hours are left out.
    let missing = try WeeklyHours("02:15-02:45", in: berlin)
    #expect(missing.next(from: date("2027-03-28T00:00:00Z")) == date("2027-03-29T00:15:00Z"))
    // And there twice on the other.
    #expect(missing.contains(date("2026-10-25T00:30:00Z")))
    #expect(missing.contains(date("2026-10-25T01:30:00Z")))
    #expect(missing.next(from: date("2026-10-25T00:50:00Z")) == date("2026-10-25T01:15:00Z"))
  }

  @Test("Sources rest outside their hours and in a downtime, until both allow a poll") func rest() throws {
    let schedule = Schedule(hours: try WeeklyHours("22:00-04:00"), downtime: try WeeklyHours("Sat 21:00-23:00"))
    #expect(schedule.restsUntil(date("2026-11-27T23:00:00Z")) == nil)
    #expect(schedule.restsUntil(date("2026-11-27T12:00:00Z")) == date("2026-11-27T22:00:00Z"))
    #expect(schedule.restsUntil(date("2026-11-28T12:00:00Z")) == date("2026-11-28T23:00:00Z"))
    #expect(Schedule().restsUntil(date("2026-11-28T12:00:00Z")) == nil)
    // No way out: it is asked again later, and never looked.
    let never = Schedule(downtime: try WeeklyHours("00:00-24:00"))
    #expect(try #require(never.restsUntil(date("2026-11-28T12:00:00Z"))) > date("2026-12-05T00:00:00Z"))
  }
}

@Suite("Time zones")
struct TimeZoneRulesTests {
  private static let names = [
    "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu",
    "Pacific/Chatham", "Africa/Casablanca", "America/St_Johns", "Europe/Dublin", "Pacific/Apia", "UTC",
  ]

  /// The oracle is ICU, in Foundation: an independent reader of the same database.
  @Test("Offsets of a century are those of an independent reader", arguments: names) func offsets(_ name: String)
    async throws
  {
    let zone = try await TimeZoneRules.named(name)
    let oracle = try #require(TimeZone(identifier: name))
    // 2037 is where the transitions of a zone's file end and its rule begins.
    for day in stride(from: -0, to: 25_000.0, by: 1) {
      let date = Date(timeIntervalSince1970: day * 86_400 + (day * 3571).truncatingRemainder(dividingBy: 86_400))
      guard zone.offset(at: date) == oracle.secondsFromGMT(for: date) else {
        Issue.record("\(name) at \(date): \(zone.offset(at: date)), not \(oracle.secondsFromGMT(for: date))")
        return
      }
    }
  }

  @Test("A rule in the notation of POSIX needs no zone data, and says the same") func posix() async throws {
    for (rule, name) in [
      ("CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin"), ("EST5EDT,M3.2.0,M11.1.0", "America/New_York"),
      ("<+0545>-5:45", "Asia/Kathmandu"), ("AEST-10AEDT,M10.1.0,M4.1.0/3", "Australia/Sydney"),
      ("IST-1GMT0,M10.5.0,M3.5.0/1", "Europe/Dublin"),
    ] {
      let zone = try await TimeZoneRules.named(rule, in: "/nonexistent")
      let oracle = try #require(TimeZone(identifier: name))
      for hour in stride(from: 0.0, to: 3 * 8766, by: 1) {
        let date = Date(timeIntervalSince1970: 1_767_225_600 + hour * 3600)
        guard zone.offset(at: date) == oracle.secondsFromGMT(for: date) else {
          Issue.record("\(rule) at \(date): \(zone.offset(at: date)), not \(oracle.secondsFromGMT(for: date))")
          break
        }
      }
    }
    #expect(
      try TimeZoneRules(posix: "EST5EDT,J60/0,J300").offset(at: Date(timeIntervalSince1970: 1_709_269_200)) == -14400)
  }

  @Test(
    "A name without data, or no zone at all, is refused in words",
    arguments: [
      "Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M4.1.0",
    ])
  func refused(_ name: String) async {
    await #expect { try await TimeZoneRules.named(name, in: "/nonexistent") } throws: { "\($0)".contains("zone data") }
  }

  @Test("A damaged zone file is no zone, and harms nothing") func damaged() throws {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "/usr/share/zoneinfo/Europe/Berlin")))
    for count in stride(from: 0, to: bytes.count, by: 7) {
      _ = TimeZoneRules(parsing: Array(bytes.prefix(count)), description: "cut")?.offset(at: Date())
    }
    for index in 0..<min(bytes.count, 3000) {
      var changed = bytes
      changed[index] ^= 0xFF
      _ = TimeZoneRules(parsing: changed, description: "changed")?.offset(at: Date())
    }
  }
}
