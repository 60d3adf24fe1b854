import DesiredStateSupport
package import FoundationEssentials
import HTTPTransport
package import HTTPTypes

/// The `Retry-After` field (RFC 9110 section 10.2.3).
package enum RetryAfter {
  /// How long from now the field asks to wait: seconds, or a date. Nil if it is not there or cannot be read. More than a
  /// day is taken for a mistake and cut.
  package static func duration(_ fields: HTTPFields, now: Date = Date()) -> Duration? {
    guard let text = fields[.retryAfter] else { return nil }
    let seconds: Double
    if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      seconds = Double(text) ?? .infinity
    } else if let date = HTTPDate.secondsSince1970(text) {
      seconds = Double(date) - now.timeIntervalSince1970
    } else {
      return nil
    }
    return .seconds(min(max(seconds, 0), 86400))
  }
}
