import Hummingbird
import NIOSSL

extension Authenticator {
  func checkSignature(
    of request: Request, body: [UInt8], required: Bool, by certificate: () async throws -> NIOSSLCertificate?
  ) async throws {
  }
}
