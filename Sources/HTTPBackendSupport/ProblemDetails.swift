import DesiredStateSupport

/// What a server says about a failure in `application/problem+json` (RFC 9457), with the members that Margo adds. A member
/// of another type than it should have is passed over (RFC 9457 section 3.1), and takes nothing from the others.
struct ProblemDetails: Decodable {
  var type: String?
  var title: String?
  var detail: String?
  var retryable: Bool?
  var retryAfterSeconds: Double?

  private enum CodingKeys: String, CodingKey { case type, title, detail, retryable, retryAfterSeconds }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    type = try? container.decode(String.self, forKey: .type)
    title = try? container.decode(String.self, forKey: .title)
    detail = try? container.decode(String.self, forKey: .detail)
    retryable = try? container.decode(Bool.self, forKey: .retryable)
    retryAfterSeconds = try? container.decode(Double.self, forKey: .retryAfterSeconds)
  }

  /// Nothing of it could be read.
  var isEmpty: Bool { type == nil && title == nil && detail == nil && retryable == nil && retryAfterSeconds == nil }

  /// Advisory, beside the Retry-After field.
  var retryAfter: Duration? {
    retryAfterSeconds.flatMap { $0.isFinite ? .seconds(min(max($0, 0), 86400)) : nil }
  }

  /// Title and detail, made safe to show; the type too where it is more than a status has to say. Nil if there is nothing.
  func words(striking struck: (String) -> String) -> String? {
    var parts = [title, detail].compactMap(\.self).map { quoted(struck($0), limit: 200) }
    if let type, type != "about:blank" { parts.append("(\(quoted(struck(type), limit: 120)))") }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}
