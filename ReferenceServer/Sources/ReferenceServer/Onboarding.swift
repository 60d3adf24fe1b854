import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOSSL

/// Onboarding of the client-id form: a certificate is handed in and a client id comes back.
struct Onboarding: Sendable {
  let configuration: ReferenceServerConfiguration
  let fleet: Fleet

  private struct OnboardingRequest: Decodable {
    var apiVersion: String
    var kind: String
    var certificate: String
  }

  /// `GET /api/v1/onboarding/certificate`: what the server's own certificate is checked by.
  func rootCertificate() async throws -> Response {
    guard let file = configuration.rootCertificateFile, let bytes = try await Disk.run({ try Disk.read(file) }) else {
      throw Problem.other(.notFound, "This server hands out no root certificate.")
    }
    return try json(["certificate": Data(bytes).base64EncodedString()], .ok)
  }

  /// `POST /api/v1/onboarding`.
  func onboard(_ request: Request, body: [UInt8], _ authenticator: Authenticator) async throws -> Response {
    guard configuration.allowsOnboarding else { throw Problem.notAuthorized("This server does not onboard.") }
    let wanted = try JSONText.request(OnboardingRequest.self, from: body)
    guard wanted.kind == "OnboardingRequest" else {
      throw Problem.semanticError([.init(field: "kind", message: "is not OnboardingRequest")])
    }
    let certificate = try Self.certificate(wanted.certificate)
    let now = Int(Date().timeIntervalSince1970)
    guard now >= certificate.notValidBefore, now <= certificate.notValidAfter else {
      throw Problem.notAuthorized("The certificate is not valid at this time.")
    }
    // Signed by the key of the very certificate: the caller has its key.
    try await authenticator.checkSignature(of: request, body: body, required: configuration.requiresSignatures) {
      certificate
    }
    return try json(["clientId": try await fleet.onboard(certificate)], .created)
  }

  /// Base64 of a certificate, in PEM form as the specification's examples have it, or in DER form.
  private static func certificate(_ text: String) throws -> NIOSSLCertificate {
    guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else {
      throw Problem.invalidRequest("The certificate is not in Base64.")
    }
    let bytes = Array(data)
    let isPEM = bytes.starts(with: Array("-----BEGIN".utf8))
    guard let certificate = try? NIOSSLCertificate(bytes: bytes, format: isPEM ? .pem : .der) else {
      throw Problem.invalidRequest("The certificate is no X.509 certificate, in neither PEM nor DER form.")
    }
    return certificate
  }

  private func json(_ value: some Encodable, _ status: HTTPResponse.Status) throws -> Response {
    Response(
      status: status, headers: [.contentType: "application/json"],
      body: .init(byteBuffer: ByteBuffer(bytes: try JSONText.encode(value))))
  }
}
