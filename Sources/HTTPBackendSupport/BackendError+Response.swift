package import DesiredState
package import HTTPTransport
import HTTPTypes

extension BackendError {
  /// What an answer that is no success means: its status in words, what the server says about it if it does so by
  /// RFC 9457, and when to ask again.
  package static func reading(_ exchange: HTTPExchange, of address: String) async -> BackendError {
    BackendError(exchange, of: address, problem: await ProblemDetails.read(exchange))
  }

  private init(_ exchange: HTTPExchange, of address: String, problem: ProblemDetails?) {
    let status = exchange.response.status
    let code = Self.code(ofStatus: status.code) ?? .protocolViolation
    let advice: String
    switch status.code {
    case 304: advice = "Nobody asked whether anything had changed; see to the server, or to a cache in between."
    case 300...399: advice = "It leads elsewhere; follow the address it leads to instead."
    case 401 where exchange.lacksClientCertificate, 403 where exchange.lacksClientCertificate,
      400 where exchange.lacksClientCertificate:
      advice = "It asked for a certificate: set the client certificate and the client certificate's key."
    case 400, 495, 496:
      advice =
        "Check that the address is a publisher of desired state, and that it accepts the client certificate, if one is shown."
    case 511: advice = "A network on the way asks to log in."
    case 401: advice = "Check this device's token or certificate."
    case 403: advice = "Ask whoever runs it to allow this device."
    case 404, 410: advice = "Check the address."
    case 406, 415: advice = "It does not speak the media type; check that the address is a publisher of desired state."
    case 429: advice = "It asks for patience."
    case 500...599: advice = "See its log."
    default: advice = "Check that the address is a publisher of desired state."
    }
    let isRefusedForLackOfCertificate = exchange.lacksClientCertificate && [400, 401, 403].contains(status.code)
    let said = problem.map { " and says \($0.words)" } ?? ""
    self.init(
      isRefusedForLackOfCertificate ? .unauthorized : code, "\(address) answers \(status.code)\(said). \(advice)",
      isRetryable: problem?.retryable ?? ([408, 429].contains(status.code) || status.code >= 500),
      retryAfter: RetryAfter.duration(exchange.response.headerFields) ?? problem?.retryAfter)
  }
}
