import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

/// How long connections are relied on, and what they are made with.
@Suite("Connections", .timeLimit(.minutes(2))) struct ConnectionTests {
  let nginx: NginxServer
  let certificates: Certificates
  let folder = TemporaryDirectory()

  init() async throws {
    nginx = try await NginxServer.shared.value
    certificates = try await Certificates.shared.value
  }

  func transport(_ change: (inout HTTPTransportConfiguration) -> Void = { _ in }) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: certificates.authority)
    configuration.stallLimit = nil
    change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  var device: HTTPClientCertificate {
    HTTPClientCertificate(certificateFile: certificates.certificate("client"), keyFile: certificates.key("client"))
  }

  @Test(
    "One that falls silent is left for a new one, in the same poll",
    arguments: [HTTPVersionPreference.http1, .http2], [NginxServer.Site.good, .mutual])
  func silence(version: HTTPVersionPreference, site: NginxServer.Site) async throws {
    let relay = try await PythonServer.start(
      "relay", ["--to", "\(nginx.port(site))", "--forget", folder["forget"]])
    let transport = try transport {
      $0.versions = version
      $0.stallLimit = HTTPStallLimit(for: .seconds(2))
      if site == .mutual { $0.tls.clientCertificate = device }
    }
    let request = HTTPRequest.get("https://localhost:\(relay.port)/small")
    #expect(try await transport.text(request) == "small file\n")
    #expect(try await transport.text(request) == "small file\n")
    #expect(transport.counters.connections == 1)
    try folder.write("forget", "")
    #expect(try await transport.text(request) == "small file\n")
    #expect(transport.counters.connections == 2)
  }

  @Test(
    "One on which an exchange ran out of time is not used again",
    arguments: [HTTPVersionPreference.http1, .http2])
  func timeouts(version: HTTPVersionPreference) async throws {
    let relay = try await PythonServer.start(
      "relay", ["--to", "\(nginx.port(.good))", "--forget", folder["forget"]])
    let transport = try transport { $0.versions = version }
    let request = HTTPRequest.get("https://localhost:\(relay.port)/small")
    #expect(try await transport.text(request) == "small file\n")
    try folder.write("forget", "")
    #expect(await transport.failure(request, deadline: .now + .milliseconds(500))?.code == .timeout)
    #expect(try await transport.text(request) == "small file\n")
    #expect(transport.counters.connections == 2)
  }

  @Test("One has an age, after which requests go over another")
  func age() async throws {
    let transport = try transport { $0.connectionLifetime = .zero }
    for _ in 0..<3 { #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n") }
    #expect(transport.counters.connections == 3)
    await transport.shutdown()
    #expect(await transport.failure(.get(nginx.url(.good, "/small")))?.code == .shutDown)
  }

  @Test("Asked to, the transport makes new ones, and lets exchanges under way go on")
  func reload() async throws {
    let transport = try transport()
    let exchange = try await transport.send(.get(nginx.url(.good, "/large")))
    transport.reload()
    #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
    #expect(transport.counters.connections == 2)
    var count = 0
    for try await chunk in exchange.body { count += chunk.count }
    #expect(count == 64 << 20)
  }

  /// Puts a file in place as a whole. What the transport saw a moment ago it does not look at again at once.
  private func put(_ name: String, _ source: String) throws {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: source))
    try bytes.write(to: URL(fileURLWithPath: folder[name]), options: .atomic)
  }

  /// The status, or the error's code, of a request with what is in the files now.
  private func outcome(_ transport: HTTPTransport, _ url: String) async throws -> String {
    transport.reload()
    do throws(HTTPTransportError) {
      return "\(try await transport.send(.get(url)).response.status.code)"
    } catch {
      return "\(error.code)"
    }
  }

  @Test("Authorities are read again when their file changes")
  func authorities() async throws {
    try put("ca", certificates.authority)
    let transport = try transport { $0.tls.trust = .only(file: folder["ca"]) }
    let url = nginx.url(.good, "/small")
    #expect(try await outcome(transport, url) == "200")
    try put("ca", certificates.otherAuthority)
    #expect(try await outcome(transport, url) == "tls-untrusted")
    try put("ca", certificates.authority)
    #expect(try await outcome(transport, url) == "200")
    // Half a file is no file.
    let half = try Data(contentsOf: URL(fileURLWithPath: certificates.otherAuthority)).prefix(300)
    try half.write(to: URL(fileURLWithPath: folder["ca"]))
    #expect(try await outcome(transport, url) == "200")
  }

  @Test("A certificate and its key are read again when both have changed, and the old pair goes on until then")
  func certificateAndKey() async throws {
    try put("cert", certificates.certificate("client"))
    try put("key", certificates.key("client"))
    let transport = try transport {
      $0.tls.clientCertificate = HTTPClientCertificate(certificateFile: folder["cert"], keyFile: folder["key"])
    }
    let url = nginx.url(.mutual, "/small")
    #expect(try await outcome(transport, url) == "200")
    try put("cert", certificates.certificate("other-client"))
    #expect(try await outcome(transport, url) == "200")
    try put("key", certificates.key("other-client"))
    #expect(try await outcome(transport, url) == "400")
    try FileManager.default.removeItem(atPath: folder["key"])
    try put("cert", certificates.certificate("client"))
    #expect(try await outcome(transport, url) == "400")
    try put("key", certificates.key("client"))
    #expect(try await outcome(transport, url) == "200")
  }

  @Test("A change of certificates is noticed without being told")
  func changeNoticed() async throws {
    try put("ca", certificates.authority)
    let transport = try transport { $0.tls.trust = .only(file: folder["ca"]) }
    let request = HTTPRequest.get(nginx.url(.good, "/small"))
    #expect(try await transport.text(request) == "small file\n")
    try put("ca", certificates.otherAuthority)
    // Within the tenth of a second in which files are not looked at again, the kept connection may still serve.
    var code: HTTPTransportError.Code?
    let began = ContinuousClock.now
    while code == nil, ContinuousClock.now - began < .seconds(30) { code = await transport.failure(request)?.code }
    #expect(code == .tlsUntrusted)
  }

  @Test("A token is read again when its file changes, and the old one counts while the file is empty")
  func token() async throws {
    let server = try await PythonServer.hostile.value
    let url = "http://127.0.0.1:\(server.port)/echo"
    try folder.write("token", "first\n")
    let origin = try HTTPOrigin(of: url)
    let transport = try HTTPTransport(
      configuration: HTTPTransportConfiguration(
        credentials: HTTPCredentials(.bearer(HTTPSecret(file: folder["token"])), for: origin)))
    #expect(try await transport.text(.get(url)).contains("Bearer first"))
    for (content, sent) in [("second", "second"), ("", "second"), ("two words", "second"), (" third ", "third")] {
      try folder.write("token", content)
      transport.reload()
      #expect(try await transport.text(.get(url)).contains("Bearer \(sent)"), "\(content)")
    }
    let exchange = try await transport.send(.get(url + "?sig=0123456789abcdef"))
    let words = exchange.struck("third, Bearer second, sig=0123456789abcdef, nothing")
    #expect(words == "•••, Bearer •••, •••, nothing", "\(words)")
  }

  @Test("A rate is kept to, by all exchanges together")
  func rate() async throws {
    let server = try await PythonServer.hostile.value
    let transport = try transport { $0.maximumBytesPerSecond = 200_000 }
    let began = ContinuousClock.now
    // Bytes that came at once are read at once; those that follow have to wait for them.
    for _ in 0..<2 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<3 {
          group.addTask {
            let url = "http://127.0.0.1:\(server.port)/ok?size=200000"
            let body = try await transport.send(.get(url)).body.collect(upTo: 200_000)
            #expect(body.count == 200_000)
          }
        }
        try await group.waitForAll()
      }
    }
    let time = ContinuousClock.now - began
    #expect(time > .seconds(2), "\(time)")
    #expect(time < .seconds(30), "\(time)")
  }
}
