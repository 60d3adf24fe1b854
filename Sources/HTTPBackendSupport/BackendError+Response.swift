package import DesiredState
package import HTTPTransport
import HTTPTypes

extension BackendError {
  /// What an answer that is no success means: its status in words, what the server says about it, and when to ask again.
  ///
  /// - Parameter toFolder: whether something was to be put into a folder there: then "not found" and the like are about
  ///   that folder, and not about this one thing.
  package static func reading(
    _ exchange: HTTPExchange, of address: String, toFolder: Bool = false
  ) async -> BackendError {
    BackendError(exchange, of: address, toFolder, said: await ServerWords.read(exchange))
  }

  private init(_ exchange: HTTPExchange, of address: String, _ toFolder: Bool, said: ServerWords) {
    let status = exchange.response.status
    var code = Self.code(ofStatus: status.code) ?? .protocolViolation
    // Servers answer 400 where they refuse a certificate, and 401 or 403.
    let mayBeCertificate = [400, 401, 403, 495, 496].contains(status.code)
    let lacksCertificate = exchange.lacksClientCertificate && mayBeCertificate
    let isExpired = exchange.clientCertificateExpiry.map { HTTPDate.secondsSinceNow($0) < 0 } ?? false
    let refusesCertificate =
      exchange.showedClientCertificate && mayBeCertificate
      && (isExpired || said.isAboutCertificate || [495, 496].contains(status.code))
    if lacksCertificate || refusesCertificate { code = .unauthorized }
    let lacksFolder = toFolder && (300...399 ~= status.code || [404, 405, 409, 410].contains(status.code))
    if lacksFolder { code = .unreachable }
    let advice: String
    switch status.code {
    case _ where lacksCertificate:
      advice = "It asked for a certificate: set the client certificate and the client certificate's key."
    case _ where refusesCertificate:
      advice =
        "It does not accept the client certificate. "
        + HTTPTransportError.certificateAdvice(exchange.clientCertificateExpiry)
    case 203: advice = "A proxy changed the answer, or the server wants credentials."
    case 304: advice = "It was not asked whether anything had changed; see to the server, or to a cache in between."
    case 300...399: advice = "It leads elsewhere; follow the address it leads to instead."
    case 400, 495, 496:
      advice =
        "Check that the address is a publisher of desired state, and that it accepts the client certificate, if one is shown."
    case 511: advice = "A network on the way asks to log in."
    case 401: advice = "Check this device's token or certificate."
    case 403: advice = "Ask its operator to allow this device."
    case _ where lacksFolder:
      advice = "Check the address for acknowledgements, and that the server lets files be put there."
    case 404, 410: advice = "Check the address."
    case 406, 415: advice = "It does not speak the media type; check that the address is a publisher of desired state."
    case 429: advice = "It asks for patience."
    case 500...599: advice = "See its log."
    default: advice = "Check that the address is a publisher of desired state."
    }
    let words = said.text.map { " and says \($0)" } ?? ""
    let fieldRetryAfter = RetryAfter.duration(exchange.response.headerFields)
    self.init(
      code, "\(address) answers \(status.code)\(words). \(advice)",
      isRetryable: said.retryable ?? ([408, 425, 429].contains(status.code) || status.code >= 500),
      // The field counts, and the member is advice; a refusal for good has no time after which it would be none.
      retryAfter: fieldRetryAfter ?? (said.retryable == false ? nil : said.retryAfter),
      problemType: said.problemType)
    isFinal = said.retryable == false
    // The field says when; a member is where growing waits begin.
    doublesRetryAfter = fieldRetryAfter == nil && retryAfter != nil && said.doublesRetryAfter
  }
}
