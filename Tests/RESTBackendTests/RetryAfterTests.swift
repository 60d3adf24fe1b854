import FoundationEssentials
import HTTPTypes
import RESTTestSupport
import Testing

@testable import HTTPBackendSupport

@Suite struct RetryAfterTests {
  private func duration(_ text: String, now: Date = Date(timeIntervalSince1970: 784_111_777)) -> Duration? {
    RetryAfter.duration([.retryAfter: text], now: now)
  }

  @Test func `seconds and all three forms of a date are read`() {
    #expect(duration("120") == .seconds(120))
    #expect(duration("0") == .zero)
    #expect(duration("Sun, 06 Nov 1994 08:49:47 GMT") == .seconds(10))
    #expect(duration("Sun, 06 Nov 1994 08:49:27 GMT") == .zero)
  }

  @Test func `more than a day is a day, and what cannot be read is nothing`() {
    #expect(duration("99999999999999999999999") == .seconds(86400))
    #expect(duration("soon") == nil)
    #expect(duration("-1") == nil)
    #expect(duration("") == nil)
    #expect(RetryAfter.duration([:]) == nil)
  }
}
