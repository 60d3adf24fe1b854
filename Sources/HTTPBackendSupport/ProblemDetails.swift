import DesiredStateSupport

/// What a server says about a failure in `application/problem+json` (RFC 9457), with the members that Margo adds. A member
/// of another type than it should have is passed over (RFC 9457 section 3.1), and takes nothing from the others.
struct ProblemDetails: Decodable {
  var type: String?
  var title: String?
  var detail: String?
  var retryable: Bool?
  var retryAfterSeconds: Double?
  var backoffStrategy: BackoffStrategy?
  var errors: [FieldError]

  /// How to try again; others than these are passed over.
  enum BackoffStrategy: String, Decodable { case none, fixed, exponential }

  /// A member of the request that is wrong.
  struct FieldError: Decodable {
    var field: String?
    var message: String?

    private enum CodingKeys: String, CodingKey { case field, message }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      field = try? container.decode(String.self, forKey: .field)
      message = try? container.decode(String.self, forKey: .message)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case type, title, detail, retryable, retryAfterSeconds, backoffStrategy, errors
  }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    type = try? container.decode(String.self, forKey: .type)
    title = try? container.decode(String.self, forKey: .title)
    detail = try? container.decode(String.self, forKey: .detail)
    retryable = try? container.decode(Bool.self, forKey: .retryable)
    retryAfterSeconds = try? container.decode(Double.self, forKey: .retryAfterSeconds)
    backoffStrategy = try? container.decode(BackoffStrategy.self, forKey: .backoffStrategy)
    errors = (try? container.decode([FieldError].self, forKey: .errors)) ?? []
  }

  /// Nothing of it could be read.
  var isEmpty: Bool {
    type == nil && title == nil && detail == nil && retryable == nil && retryAfterSeconds == nil
      && backoffStrategy == nil && errors.isEmpty
  }

  /// Whether to try again: what it says, else what follows from how.
  var mayBeRetried: Bool? { retryable ?? backoffStrategy.map { $0 != .none } }

  /// Advisory, beside the Retry-After field.
  var retryAfter: Duration? {
    retryAfterSeconds.flatMap { $0.isFinite ? .seconds(min(max($0, 0), 86400)) : nil }
  }

  /// The type, where it is more than the status has to say (RFC 9457 section 4.2.1).
  var ownType: String? { type == "about:blank" || type?.isEmpty == true ? nil : type }

  /// Title, detail and wrong members, made safe to show; the type too where it is more than a status has to say. Nil if
  /// there is nothing.
  func words(striking struck: (String) -> String) -> String? {
    var parts = [title, detail].compactMap(\.self).map { quoted(struck($0), limit: 200) }
    let wrong = errors.prefix(8).compactMap { error in
      let parts = [error.field, error.message].compactMap(\.self).map { quoted(struck($0), limit: 80) }
      return parts.isEmpty ? nil : parts.joined(separator: ": ")
    }
    if !wrong.isEmpty {
      parts.append(wrong.joined(separator: "; ") + (errors.count > 8 ? " and \(errors.count - 8) more" : ""))
    }
    if let ownType { parts.append("(\(quoted(struck(ownType), limit: 120)))") }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}
