import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

@Suite struct TLS {
  let nginx: NginxServer
  let certificates: Certificates

  init() async throws {
    nginx = try await NginxServer.shared.value
    certificates = try await Certificates.shared.value
  }

  func transport(_ change: (inout HTTPTransportConfiguration) -> Void = { _ in }) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: certificates.authority)
    change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  var device: HTTPClientCertificate {
    HTTPClientCertificate(certificateFile: certificates.certificate("client"), keyFile: certificates.key("client"))
  }

  @Test func `A pinned authority is trusted, by name and by address`() async throws {
    let transport = try transport()
    #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
    #expect(try await transport.text(.get(nginx.url(.good, "/small", host: "127.0.0.1"))) == "small file\n")
  }

  @Test func `The system's authorities do not know ours`() async throws {
    let error = try await transport { $0.tls.trust = .system }.failure(.get(nginx.url(.good, "/small")))
    #expect(error?.code == .tlsUntrusted && error?.isRetryable == false)
  }

  @Test func `Ours can be added to the system's`() async throws {
    let transport = try transport { $0.tls.trust = .systemAnd(file: certificates.authority) }
    #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
  }

  @Test func `Another pinned authority is not ours`() async throws {
    let error = try await transport { $0.tls.trust = .only(file: certificates.otherAuthority) }
      .failure(.get(nginx.url(.good, "/small")))
    #expect(error?.code == .tlsUntrusted)
  }

  /// With a system that trusts another authority, in its file and in its directory of certificates.
  @Test(.enabled(if: PrivateMounts.isPossible)) func `A pinned authority is the only one`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let nginx = try await NginxServer.shared.value
        let certificates = try await Certificates.shared.value
        let request = HTTPRequest.get(nginx.url(.untrusted, "/small"))
        for (trust, isTrusted) in [
          (HTTPTrustRoots.system, true), (.systemAnd(file: certificates.authority), true),
          (.only(file: certificates.authority), false),
        ] {
          let transport = try await onThread {
            let system = TemporaryDirectory()
            let file = system["ca-certificates.crt"]
            try FileManager.default.copyItem(atPath: certificates.otherAuthority, toPath: file)
            try ChildProcess.run(["openssl", "rehash", system.path])
            try PrivateMounts.mount(system.path, over: "/etc/ssl/certs")
            var configuration = HTTPTransportConfiguration()
            configuration.tls.trust = trust
            return (try HTTPTransport(configuration: configuration), system)
          }
          #expect(await transport.0.failure(request)?.code == (isTrusted ? nil : .tlsUntrusted), "\(trust)")
          await transport.0.shutdown()
        }
      })
  }

  @Test(arguments: [
    (NginxServer.Site.expired, HTTPTransportError.Code.tlsExpired),
    (.future, .clockImplausible), (.otherHost, .tlsWrongHost), (.untrusted, .tlsUntrusted),
    (.tls12, .tlsVersion),
  ])
  func `A bad certificate has its own error`(site: NginxServer.Site, code: HTTPTransportError.Code) async throws {
    let transport = try transport()
    let error = await transport.failure(.get(nginx.url(site, "/small")))
    #expect(error?.code == code, "\(String(describing: error))")
    #expect(error?.isRetryable == false)
    #expect(error?.message.contains("localhost:\(nginx.port(site))") == true)
    #expect(transport.counters.requests == 0)
  }

  @Test func `TLS 1.2 works when it is allowed by name`() async throws {
    let transport = try transport { $0.tls.minimumVersion = .tls12 }
    #expect(try await transport.text(.get(nginx.url(.tls12, "/small"))) == "small file\n")
  }

  @Test func `Files of trust that cannot be read are named as the configuration's fault`() async throws {
    for file in ["/nowhere/ca.pem", certificates.key("client")] {
      let error = try await transport { $0.tls.trust = .only(file: file) }.failure(.get(nginx.url(.good, "/small")))
      #expect(error?.code == .configuration, "\(String(describing: error))")
    }
  }

  @Test func `A client certificate is shown to whoever asks`() async throws {
    let transport = try transport { $0.tls.clientCertificate = device }
    let exchange = try await transport.send(.get(nginx.url(.mutual, "/small")))
    #expect(exchange.response.status == .ok)
    #expect(!exchange.lacksClientCertificate)
  }

  @Test func `nginx's 400 without a client certificate is known for what it is, also with a resumed session`()
    async throws
  {
    let transport = try transport()
    for _ in 0..<3 {
      let exchange = try await transport.send(.get(nginx.url(.mutual, "/small")))
      #expect(exchange.response.status == .badRequest)
      #expect(exchange.lacksClientCertificate)
    }
    #expect(try await !transport.send(.get(nginx.url(.good, "/small"))).lacksClientCertificate)
  }

  func mutualServer() async throws -> PythonServer {
    try await PythonServer.start(
      "hostile",
      ["--tls", certificates.certificate("server"), certificates.key("server"), "--client-ca", certificates.authority])
  }

  @Test func `A server that insists on a client certificate is understood`() async throws {
    let server = try await mutualServer()
    let address = "https://localhost:\(server.port)/ok"
    let error = try await transport().failure(.get(address))
    #expect(error?.code == .clientCertificateRequired, "\(String(describing: error))")
    let refused = try await transport {
      $0.tls.clientCertificate = HTTPClientCertificate(
        certificateFile: certificates.certificate("other-client"), keyFile: certificates.key("other-client"))
    }.failure(.get(address))
    #expect(refused?.code == .clientCertificateRefused, "\(String(describing: refused))")
    #expect(try await transport { $0.tls.clientCertificate = device }.send(.get(address)).response.status == .ok)
  }

  @Test func `A client certificate whose key is not its own is the configuration's fault`() async throws {
    var wrong = device
    wrong.keyFile = certificates.key("server")
    let error = try await transport { $0.tls.clientCertificate = wrong }.failure(.get(nginx.url(.mutual, "/small")))
    #expect(error?.code == .configuration)
  }

  @Test func `HTTP 2 carries many exchanges over one connection`() async throws {
    let transport = try transport()
    let address = nginx.url(.good, "/text.json")
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<50 { group.addTask { try await transport.send(.get(address)).body.collect(upTo: 1 << 20).count } }
      for try await count in group { #expect(count == 17_000) }
    }
    #expect(transport.counters.connections == 1)
    #expect(transport.counters.requests == 50)
    // nginx compresses it to almost nothing.
    #expect(transport.counters.bytesReceived < 50_000)
  }

  @Test func `HTTP 1 is spoken when it is asked for`() async throws {
    let transport = try transport { $0.versions = .http1 }
    let address = nginx.url(.good, "/text.json")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 { group.addTask { _ = try await transport.send(.get(address)).body.collect(upTo: 1 << 20) } }
      try await group.waitForAll()
    }
    #expect((2...6).contains(transport.counters.connections))
  }

  @Test func `An exchange that nobody reads does not hold up others on its connection`() async throws {
    let transport = try transport()
    let idle = try await transport.send(.get(nginx.url(.good, "/large")))
    for _ in 0..<5 {
      #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
    }
    #expect(transport.counters.connections == 1)
    var count = 0
    for try await chunk in idle.body { count += chunk.count }
    #expect(count == 64 << 20)
  }

  @Test func `The expected identity of the server is checked before it is sent anything`() async throws {
    for (name, uri, isAccepted) in [
      ("server", Certificates.identity, true), ("server", "spiffe://plant.example/other", false),
      ("two-identities", Certificates.identity, false), ("untrusted-names", "", false),
    ] where name != "untrusted-names" {
      let server = try await PythonServer.start(
        "hostile", ["--tls", certificates.certificate(name), certificates.key(name)])
      let transport = try transport { $0.tls.expectedServerIdentity = HTTPServerIdentity(uri: uri) }
      // Twice, as the second may go over a kept connection or a resumed session.
      for _ in 0..<2 {
        let error = await transport.failure(.get("https://localhost:\(server.port)/ok"))
        #expect(error?.code == (isAccepted ? nil : .tlsWrongIdentity), "\(name) \(uri) \(String(describing: error))")
      }
      #expect(server.log.isEmpty == !isAccepted)
      #expect(transport.counters.requests == (isAccepted ? 2 : 0))
    }
  }

  @Test func `An identity can stand in for the host's name, but not for trust`() async throws {
    func failure(_ certificate: String, alsoMatchesHost: Bool) async throws -> HTTPTransportError.Code? {
      let server = try await PythonServer.start(
        "hostile", ["--tls", certificates.certificate(certificate), certificates.key(certificate)])
      return try await transport {
        $0.tls.expectedServerIdentity = HTTPServerIdentity(uri: Certificates.identity, alsoMatchesHost: alsoMatchesHost)
      }.failure(.get("https://localhost:\(server.port)/ok"))?.code
    }
    #expect(try await failure("identity-only", alsoMatchesHost: true) == .tlsWrongHost)
    #expect(try await failure("identity-only", alsoMatchesHost: false) == nil)
    #expect(try await failure("untrusted", alsoMatchesHost: false) == .tlsUntrusted)
    #expect(try await failure("other-host", alsoMatchesHost: false) == .tlsWrongIdentity)
  }

  @Test func `A plain HTTP server at an https address is told apart`() async throws {
    let error = try await transport().failure(.get("https://localhost:\(nginx.port(.plain))/small"))
    #expect(error?.code == .tlsFailed)
  }
}
