import FoundationEssentials
import HTTPMessageSignatures
import HTTPTypes
import Hummingbird
import NIOSSL

extension Authenticator {
  /// Checks the request's signature (RFC 9421) by the key of a certificate, if it has one or has to have one.
  ///
  /// Method, target and, where there is a body, its digest (RFC 9530) have to be covered, not longer than five minutes
  /// ago.
  ///
  /// - Throws: ``Problem`` with 401, or with 400 if the body is not what its digest says.
  func checkSignature(
    of request: Request, body: [UInt8], required: Bool, by certificate: () async throws -> NIOSSLCertificate?
  ) async throws {
    guard required || request.headers[.signature] != nil else { return }
    var components: [HTTPSignatureComponent] = [.method, .targetURI]
    if !body.isEmpty {
      guard let field = request.headers[.contentDigest] else {
        throw Problem.invalidRequest("The request has a body and no Content-Digest.")
      }
      do throws(HTTPSignatureError) {
        try HTTPContentDigest.verify(field, of: body)
      } catch {
        throw Problem.invalidRequest("Content-Digest: \(error.message)")
      }
      components.append(.field("content-digest"))
    }
    guard let certificate = try await certificate() else {
      throw Problem.other(.unauthorized, "The client was not onboarded, so that no key is known for it.")
    }
    let key = try Self.key(of: certificate)
    var head = request.head
    // What the client asked for; the connection does not say by itself whether it was encrypted.
    head.scheme = configuration.tls == nil ? "http" : "https"
    do throws(HTTPSignatureError) {
      _ = try HTTPSignedMessage.request(head).verifySignature(
        HTTPSignatureRequirements(components: components), at: Date(), key: { _ in key })
    } catch {
      throw Problem.other(.unauthorized, "The request's signature does not count: \(error.message)")
    }
  }

  private static func key(of certificate: NIOSSLCertificate) throws -> HTTPVerificationKey {
    let info = Data(try certificate.extractPublicKey().toSPKIBytes()).base64EncodedString(
      options: .lineLength64Characters)
    do {
      return try HTTPVerificationKey(pem: "-----BEGIN PUBLIC KEY-----\n\(info)\n-----END PUBLIC KEY-----\n")
    } catch {
      throw Problem.invalidRequest("The certificate has a key of a kind that signs no requests here.")
    }
  }
}

extension HTTPField.Name {
  // Both are registered names, which are valid.
  static let signature = Self("Signature")!
  static let contentDigest = Self("Content-Digest")!
}
