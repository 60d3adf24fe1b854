import DesiredState
import DesiredStateSupport
import HTTPTransport
import HTTPTypes

/// What a server says about a failure in `application/problem+json` (RFC 9457), with the members that Margo adds.
struct ProblemDetails: Decodable {
  var type: String?
  var title: String?
  var detail: String?
  var retryable: Bool?
  var retryAfterSeconds: Int?

  /// More than any explanation needs.
  private static let longest = 64 << 10

  /// The problem in an answer; nil if it has none that can be read.
  static func read(_ exchange: HTTPExchange) async -> ProblemDetails? {
    guard exchange.response.headerFields[.contentType]?.lowercased().hasPrefix("application/problem+json") == true,
      let body = try? await exchange.body.collect(upTo: longest)
    else { return nil }
    return try? JSON.decode(ProblemDetails.self, from: body)
  }

  /// Advisory, beside the Retry-After field.
  var retryAfter: Duration? { retryAfterSeconds.map { .seconds(min(max($0, 0), 86400)) } }

  /// Title and detail, made safe to show; the type too where it is more than a status has to say.
  var words: String {
    var parts = [title, detail].compactMap(\.self).map { quoted($0, limit: 200) }
    if let type, type != "about:blank" { parts.append("(\(quoted(type, limit: 120)))") }
    return parts.isEmpty ? "nothing more" : parts.joined(separator: ", ")
  }
}
