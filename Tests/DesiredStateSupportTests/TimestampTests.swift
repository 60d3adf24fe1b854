import Foundation
import Testing

@testable import DesiredStateSupport

@Suite("Times as RFC 3339 writes them")
struct TimestampTests {
  @Test("What is read is read again from its text, in every year that has four digits") func everyYear() throws {
    for year in 1...9999 {
      for day in ["01-01", "02-28", "03-01", "10-10", "12-31"] {
        let text = String(repeating: "0", count: 4 - "\(year)".count) + "\(year)-\(day)T23:59:59Z"
        let time = try #require(Timestamp.parse(text))
        #expect(Timestamp.text(time) == text)
      }
    }
  }

  @Test("Since the Gregorian calendar was introduced, Foundation writes the same") func foundation() {
    for seconds in stride(from: -12_219_292_800.0, to: 253_402_300_800, by: 86_399 * 997) {
      let date = Date(timeIntervalSince1970: seconds)
      #expect(Timestamp.text(date) == date.formatted(.iso8601))
    }
  }

  @Test(
    "A time that is beyond those years in UTC is none",
    arguments: ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:00-00:01", "9999-12-31T23:59:60Z"])
  func offset(text: String) { #expect(Timestamp.parse(text) == nil) }

  @Test(
    "A time that no record can hold is written without harm",
    arguments: [-Double.infinity, -1e18, 253_402_300_800, 1.8e19, .infinity, .nan])
  func beyond(seconds: Double) { #expect(Timestamp.text(Date(timeIntervalSince1970: seconds)).hasSuffix("Z")) }
}
