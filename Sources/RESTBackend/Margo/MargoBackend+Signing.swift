import DesiredState
import DesiredStateSupport
import FoundationEssentials
import HTTPBackendSupport
public import HTTPMessageSignatures
public import HTTPTransport
import HTTPTypes

extension MargoBackend {
  /// Signs requests as the client-id form demands: method, target URI and content digest (RFC 9421, RFC 9530), with the
  /// time, so that they cannot be sent again later.
  ///
  /// A request without a body has the digest of no bytes.
  ///
  /// - Parameters:
  ///   - key: the private key of the certificate that was onboarded.
  ///   - keyID: `keyid`; the client's id once there is one.
  public static func signature(by key: HTTPSigningKey, keyID: String) -> SignRequest {
    signature(by: { key }, keyID: keyID)
  }

  /// The same, by the key that there is when a request is sent.
  static func signature(by key: @escaping @Sendable () -> HTTPSigningKey, keyID: String) -> SignRequest {
    { request, body in
      request.headerFields[.contentDigest] = HTTPContentDigest.field(of: body)
      try request.sign(
        [.method, .targetURI, .field("content-digest")],
        parameters: HTTPSignatureParameters(created: Date(), keyID: keyID), with: key())
    }
  }

  /// Checks a manager's signature over its response: over the status, the digest of the body, and the request that it
  /// answers, so that no other answer of the manager's can stand in for it. When it was made does not matter: an older
  /// manifest is refused by its version, whatever the clock of this device says.
  ///
  /// - Returns: who signed, in words.
  /// - Throws: `VerificationError` with `signature-missing` or `signature-invalid`.
  static func signer(of answer: SourceClient.WholeResponse, by key: HTTPVerificationKey) throws(VerificationError)
    -> String
  {
    do throws(HTTPSignatureError) {
      let signature = try HTTPSignedMessage.response(answer.response, to: answer.request).verifySignature(
        HTTPSignatureRequirements(
          components: [
            .status, .field("content-digest"), HTTPSignatureComponent.method.ofRequest,
            HTTPSignatureComponent.targetURI.ofRequest,
          ], maximumAge: nil), at: Date()
      ) { _ in key }
      try HTTPContentDigest.verify(answer.response.headerFields[.contentDigest] ?? "", of: answer.body)
      return "a response signed by \(quoted(signature.parameters.keyID ?? "the manager's key"))"
    } catch {
      throw VerificationError(
        error.code == .missing ? .signatureMissing : .signatureInvalid,
        "the manager's signature over its response does not count: \(error.message)")
    }
  }

  /// Onboards a device at a fleet manager of the client-id form: `POST /api/v1/onboarding`.
  ///
  /// - Parameters:
  ///   - base: the URL that `/api/v1/…` comes after.
  ///   - certificate: the device's X.509 certificate in PEM form.
  ///   - key: its private key.
  ///   - transport: how to get there.
  ///   - allowsPlainHTTP: whether an address without TLS is taken.
  ///   - timeout: how long it may take.
  /// - Returns: the client's id, for a backend of this type.
  /// - Throws: `SourceAddressError` if the address or the certificate cannot be used; `BackendError` with `forbidden`
  ///   if the manager rejects the device; `CancellationError`.
  public static func onboard(
    base: String, certificate: String, key: HTTPSigningKey, transport: HTTPTransport, allowsPlainHTTP: Bool = false,
    timeout: Duration = .seconds(30)
  ) async throws -> String {
    let address = try HTTPSourceAddress.parse(base, allowsPlainHTTP: allowsPlainHTTP)
    let api = MargoAPI(base: address, clientID: nil)
    guard let encoded = Self.firstCertificate(in: certificate) else {
      throw SourceAddressError("the certificate cannot be read; it has to be in PEM form (BEGIN CERTIFICATE)")
    }
    let client = SourceClient(
      transport: transport, sign: signature(by: key, keyID: Digest.of(encoded.utf8).description))
    let answer = try await client.deliver(
      try JSON.file(OnboardingRequest(certificate: encoded)), by: .post, to: try api.onboarding,
      contentType: "application/json", deadline: .now + timeout)
    guard let id = (try? JSON.decode(OnboardingAnswer.self, from: answer))?.clientId, !id.isEmpty else {
      throw BackendError(.protocolViolation, "\(address) onboards without saying the client's id")
    }
    return id
  }

  /// Downloads the root certificate of a fleet manager of the client-id form: `GET /api/v1/onboarding/certificate`.
  ///
  /// It is as trustworthy as the connection it comes over. Where that proves nothing, compare it with a copy that came
  /// another way before anything is trusted by it.
  ///
  /// - Parameters:
  ///   - base: the URL that `/api/v1/…` comes after.
  ///   - transport: how to get there.
  ///   - allowsPlainHTTP: whether an address without TLS is taken.
  ///   - timeout: how long it may take.
  /// - Returns: the certificate in PEM form.
  /// - Throws: `SourceAddressError` if the address cannot be used; `BackendError`; `CancellationError`.
  public static func rootCertificate(
    base: String, transport: HTTPTransport, allowsPlainHTTP: Bool = false, timeout: Duration = .seconds(30)
  ) async throws -> String {
    let api = MargoAPI(base: try HTTPSourceAddress.parse(base, allowsPlainHTTP: allowsPlainHTTP), clientID: nil)
    let address = try api.rootCertificate
    do {
      guard
        let answer = try await SourceClient(transport: transport).get(
          address, "the root certificate", headerFields: [.accept: "application/json"], limit: 1 << 20,
          deadline: .now + timeout)
      else { throw BackendError(.unsupported, "\(address) answers 404: this manager hands out no root certificate") }
      guard let text = (try? JSON.decode(RootCertificate.self, from: answer.body))?.certificate,
        let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters),
        case let pem = Self.pem(data), Self.firstCertificate(in: pem) != nil
      else { throw BackendError(.protocolViolation, "\(address) answers with something else than a certificate") }
      return pem
    } catch let error as VerificationError {
      throw BackendError(.protocolViolation, error.reason)
    }
  }

  private struct RootCertificate: Decodable {
    var certificate: String
  }

  /// A certificate that comes in PEM form, or in DER form.
  private static func pem(_ data: Data) -> String {
    let text = String(decoding: data, as: UTF8.self)
    if text.hasPrefix("-----BEGIN") { return text }
    // DER begins with a SEQUENCE (X.690).
    guard data.first == 0x30 else { return "" }
    return PEM.certificate(base64: data.base64EncodedString())
  }

  private struct OnboardingRequest: Encodable {
    let apiVersion = "onboarding.margo.org/v1alpha1"
    let kind = "OnboardingRequest"
    var certificate: String
  }

  private struct OnboardingAnswer: Decodable {
    var clientId: String
  }

  /// The Base64 of the first certificate of a PEM text (RFC 7468), on one line.
  private static func firstCertificate(in pem: String) -> String? {
    let lines = pem.split(whereSeparator: \.isNewline).drop { $0 != "-----BEGIN CERTIFICATE-----" }.dropFirst()
    let content = lines.prefix { $0 != "-----END CERTIFICATE-----" }
    guard content.count < lines.count, Data(base64Encoded: content.joined()) != nil else { return nil }
    return content.joined()
  }
}

extension HTTPField.Name {
  // A registered name, which is valid.
  fileprivate static let contentDigest = HTTPField.Name("Content-Digest")!
}
