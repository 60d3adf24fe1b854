import DesiredStateSupport
import HTTPTransport
import HTTPTypes

/// What a server says in the body of an answer that is no success, made safe to show.
struct ServerWords {
  /// Nil if it says nothing that can be shown.
  var text: String?
  var retryable: Bool?
  var retryAfter: Duration?
  /// Whether that is the first of waits that double.
  var doublesRetryAfter = false
  /// The problem's type, if it has one of its own.
  var problemType: String?
  /// It says itself that it is about the client certificate: nginx answers 400 then, whatever the reason.
  var isAboutCertificate = false

  /// More than any explanation needs.
  private static let longest = 64 << 10

  /// Reads them: problem details (RFC 9457), or a short text. Every credential that the server was sent is struck out.
  static func read(_ exchange: HTTPExchange) async -> ServerWords {
    let type = exchange.response.headerFields[.contentType]?.lowercased() ?? ""
    guard let body = try? await exchange.body.collect(upTo: longest), !body.isEmpty else { return ServerWords() }
    if type.hasPrefix("application/problem+json") || type.hasPrefix("application/json"),
      let problem = try? JSON.decode(ProblemDetails.self, from: body), !problem.isEmpty
    {
      return ServerWords(
        text: problem.words(striking: exchange.struck), retryable: problem.mayBeRetried,
        retryAfter: problem.retryAfter, doublesRetryAfter: problem.backoffStrategy == .exponential,
        problemType: problem.ownType.map(exchange.struck))
    }
    let whole = String(decoding: body, as: UTF8.self)
    guard !type.hasPrefix("text/html"), type.hasPrefix("text/") || type.isEmpty, body.count <= 4096,
      !body.contains(0), !whole.lowercased().contains("<html")
    else {
      return ServerWords(isAboutCertificate: whole.contains("SSL certificate"))
    }
    let words = exchange.struck(whole).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return ServerWords(text: words.isEmpty ? nil : quoted(words, limit: 200))
  }
}
