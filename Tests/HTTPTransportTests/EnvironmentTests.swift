import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

/// In processes of their own, whose environment is theirs to spoil before libcurl first looks at it.
@Suite struct `The environment` {
  @Test func `has no say in proxies unless asked`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let server = try await PythonServer.start("hostile")
        let proxy = try await PythonServer.start("proxy")
        let nowhere = "http://127.0.0.1:\(Endpoint.reservedPort())"
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] { setenv(name, nowhere, 1) }
        let request = HTTPRequest.get("http://127.0.0.1:\(server.port)/chunked")
        #expect(try await HTTPTransport().text(request) == "hello world")

        var configuration = HTTPTransportConfiguration(proxy: .environment)
        #expect(try await HTTPTransport(configuration: configuration).failure(request)?.code == .unreachable)

        // Nor in which hosts an explicit proxy is for.
        setenv("no_proxy", "*", 1)
        #expect(try await HTTPTransport(configuration: configuration).text(request) == "hello world")
        configuration.proxy = .proxy(try HTTPProxy("http://127.0.0.1:\(proxy.port)"))
        #expect(try await HTTPTransport(configuration: configuration).text(request) == "hello world")
        #expect(proxy.log.hasPrefix("GET http://127.0.0.1:\(server.port)/chunked"))
      })
  }

  @Test func `has no say in trust, and does not get the session keys`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let certificates = try await Certificates.shared.value
        let directory = TemporaryDirectory()
        for name in ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
          setenv(name, certificates.authority, 1)
        }
        setenv("SSL_CERT_DIR", certificates.directory.path, 1)
        setenv("SSLKEYLOGFILE", directory["keys"], 1)
        let nginx = try await NginxServer.shared.value
        let request = HTTPRequest.get(nginx.url(.good, "/small"))
        let first = try HTTPTransport()
        #expect(await first.failure(request)?.code == .tlsUntrusted)
        await first.shutdown()
        var configuration = HTTPTransportConfiguration()
        configuration.tls.trust = .only(file: certificates.authority)
        let second = try HTTPTransport(configuration: configuration)
        #expect(try await second.text(request) == "small file\n")
        await second.shutdown()
        #expect(directory.read("keys") == "")
      })
  }

  @Test(arguments: FirstUse.allCases) func `of the program's end is not OpenSSL's, whatever uses it first`(
    first: FirstUse
  ) async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) { [first] in
        #expect(expectOpenSSLToOutliveTheProgram())
        let certificates = try await Certificates.shared.value
        switch first {
        case .certificate:
          let client = HTTPClientCertificate(
            certificateFile: certificates.certificate("client"), keyFile: certificates.key("client"))
          #expect(client.uris != nil)
        case .bundle:
          #expect(throws: (any Error).self) {
            _ = try SPIFFEBundle(
              parsing: Array(#"{"keys": [{"use": "x509-svid", "x5c": ["AAAA"]}]}"#.utf8), trustDomain: nil)
          }
        case .transport: await (try HTTPTransport()).shutdown()
        }
      })
  }

  enum FirstUse: String, CaseIterable, Codable {
    case certificate, bundle, transport
  }
}
