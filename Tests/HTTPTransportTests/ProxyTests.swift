import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

@Suite struct `Through a proxy` {
  let nginx: NginxServer
  let certificates: Certificates

  init() async throws {
    nginx = try await NginxServer.shared.value
    certificates = try await Certificates.shared.value
  }

  func transport(
    _ proxy: String, trust: HTTPTrustRoots = .system,
    _ change: (inout HTTPTransportConfiguration) throws -> Void = { _ in }
  ) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration(proxy: .proxy(try HTTPProxy(proxy, trust: trust)))
    configuration.tls.trust = .only(file: certificates.authority)
    try change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  @Test func `https goes by CONNECT, which shows the proxy nothing of the request`() async throws {
    let proxy = try await PythonServer.start("proxy")
    let transport = try transport("http://127.0.0.1:\(proxy.port)") {
      $0.credentials = try HTTPCredentials(.bearer(HTTPSecret("token-1")), for: HTTPOrigin(of: nginx.url(.good, "/")))
    }
    let exchange = try await transport.send(.get(nginx.url(.good, "/small"), [HTTPField.Name("X-Own")!: "1"]))
    #expect(exchange.response.headerFields[HTTPField.Name("X-Proxy")!] == nil)
    #expect(try await exchange.body.collect(upTo: 100) == Array("small file\n".utf8))
    _ = try await transport.text(.get(nginx.url(.good, "/small")))
    #expect(proxy.log.hasPrefix("CONNECT localhost:\(nginx.port(.good)) HTTP/1.1"))
    #expect(proxy.log.split(separator: "CONNECT").count == 1, "the tunnel is kept")
    #expect(!proxy.log.contains("X-Own") && !proxy.log.contains("token-1"))
  }

  @Test func `http goes in absolute form`() async throws {
    let proxy = try await PythonServer.start("proxy")
    let transport = try transport("http://127.0.0.1:\(proxy.port)")
    #expect(try await transport.text(.get(nginx.url(.plain, "/small", host: "127.0.0.1"))) == "small file\n")
    #expect(proxy.log.hasPrefix("GET http://127.0.0.1:\(nginx.port(.plain))/small HTTP/1.1"))
  }

  @Test func `that is secured itself, under its own authority`() async throws {
    let proxy = try await PythonServer.start(
      "proxy", ["--tls", certificates.certificate("untrusted"), certificates.key("untrusted")])
    let address = "https://localhost:\(proxy.port)"
    let transport = try transport(address, trust: .only(file: certificates.otherAuthority))
    #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
    let error = try await self.transport(address, trust: .only(file: certificates.authority))
      .failure(.get(nginx.url(.good, "/small")))
    #expect(error?.code == .tlsUntrusted)
    #expect(error?.message.contains("proxy") == true, "\(String(describing: error))")
    let behind = await transport.failure(.get(nginx.url(.untrusted, "/small")))
    #expect(behind?.code == .tlsUntrusted)
    #expect(behind?.message.contains("localhost:\(nginx.port(.untrusted))") == true, "\(String(describing: behind))")
  }

  @Test func `the server's identity is checked, not the proxy's`() async throws {
    let proxy = try await PythonServer.start(
      "proxy", ["--tls", certificates.certificate("untrusted"), certificates.key("untrusted")])
    for (uri, code) in [(Certificates.identity, nil), ("spiffe://other", HTTPTransportError.Code.tlsWrongIdentity)] {
      let transport = try transport("https://localhost:\(proxy.port)", trust: .only(file: certificates.otherAuthority))
      {
        $0.tls.expectedServerIdentity = HTTPServerIdentity(uri: uri)
      }
      #expect(await transport.failure(.get(nginx.url(.good, "/small")))?.code == code)
    }
  }

  @Test func `that wants credentials`() async throws {
    let proxy = try await PythonServer.start("proxy", ["--credentials", "agent:p@ss word"])
    let good = try transport("http://agent:p%40ss%20word@127.0.0.1:\(proxy.port)")
    #expect(try await good.text(.get(nginx.url(.good, "/small"))) == "small file\n")
    for address in ["http://127.0.0.1:\(proxy.port)", "http://agent:wrong-one@127.0.0.1:\(proxy.port)"] {
      let transport = try transport(address)
      for url in [nginx.url(.good, "/small"), nginx.url(.plain, "/small")] {
        let error = await transport.failure(.get(url))
        #expect(error?.code == .proxyRefused, "\(String(describing: error))")
        #expect(error?.proxyStatus == 407 && error?.isRetryable == false)
        #expect(error?.description.contains("wrong-one") == false)
      }
    }
  }

  @Test(arguments: [403, 503]) func `that refuses`(status: Int) async throws {
    let proxy = try await PythonServer.start("proxy", ["--refuse", "\(status)"])
    let error = try await transport("http://127.0.0.1:\(proxy.port)").failure(.get(nginx.url(.good, "/small")))
    #expect(error?.code == .proxyRefused && error?.proxyStatus == status)
    #expect(error?.isRetryable == (status == 503))
  }

  @Test func `that is not there`() async throws {
    let port = Endpoint.reservedPort()
    let error = try await transport("http://127.0.0.1:\(port)").failure(.get(nginx.url(.good, "/small")))
    #expect(error?.code == .unreachable)
    #expect(error?.message.contains("proxy http://127.0.0.1:\(port)") == true)
    let unknown = try await transport("http://nowhere.invalid:3128").failure(.get(nginx.url(.good, "/small")))
    #expect(unknown?.code == .nameResolution)
  }

  @Test func `with an address that is none`() {
    for address in ["", "socks5://127.0.0.1:1080", "http://", "/etc/passwd"] {
      let error = #expect(throws: HTTPTransportError.self) { try HTTPProxy(address) }
      #expect(error?.code == .configuration)
    }
  }
}
