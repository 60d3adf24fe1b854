import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import Testing

/// Sites whose firewall ends TLS, reads what passes, and begins it anew under an authority of its own.
@Suite struct `Behind a proxy that inspects TLS` {
  let site: DropSite
  let certificates: Certificates
  let publication = TestPublication.version(5)

  init() async throws {
    site = try await DropSite.start()
    certificates = site.certificates
    try site.publish(publication)
  }

  /// The proxy shows the device a certificate of the other authority; the server shows the proxy its own.
  func proxy(changing path: String? = nil) async throws -> PythonServer {
    try await PythonServer.start(
      "proxy",
      ["--inspect", certificates.certificate("untrusted"), certificates.key("untrusted")]
        + ["--client", certificates.certificate("client"), certificates.key("client")]
        + (path.map { ["--change", $0] } ?? []))
  }

  func backend(_ proxy: PythonServer, trusting authority: String) throws -> RESTBackend {
    try site.backend {
      $0.proxy = .proxy(try HTTPProxy("http://127.0.0.1:\(proxy.port)"))
      $0.tls.trust = .only(file: authority)
    }
  }

  @Test(.timeLimit(.minutes(5))) func `a signed drop is adopted by a device that trusts the proxy`() async throws {
    let proxy = try await proxy()
    let sight = try await backend(proxy, trusting: certificates.otherAuthority).sight()
    #expect(sight == .all(of: publication))
    #expect(proxy.log.contains("GET /drop/manifest.json"), "the proxy has read along")
  }

  @Test(.timeLimit(.minutes(5))) func `a device that does not trust the proxy says so`() async throws {
    let proxy = try await proxy()
    let error = try await backend(proxy, trusting: certificates.authority).unavailability()
    #expect(error.code == .tlsUntrusted && !error.isRetryable, "\(error)")
    #expect(!proxy.log.contains("manifest.json"))
  }

  @Test(
    .timeLimit(.minutes(5)),
    arguments: [
      // The signature is named by the digest of the manifest: for a changed one there is none.
      ("/drop/manifest.json", VerificationError.Code.signatureMissing),
      ("/drop/signatures/", .signatureInvalid),
      ("/drop/documents/", .digestMismatch),
    ])
  func `a byte that the proxy changes is found out`(path: String, code: VerificationError.Code) async throws {
    let proxy = try await proxy(changing: path)
    let backend = try backend(proxy, trusting: certificates.otherAuthority)
    var seen: (any Error)?
    #expect(try await backend.sight { seen = $0 } == .refused(code), "\(String(describing: seen))")
    #expect(proxy.log.contains("GET \(path)"))
  }
}
