import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import Testing

@Suite struct Redirects {
  let server: PythonServer
  let other: PythonServer

  init() async throws {
    server = try await PythonServer.hostile.value
    other = try await PythonServer.start("hostile")
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(server.port)\(path)" }
  func otherURL(_ path: String) -> String { "http://127.0.0.1:\(other.port)\(path)" }

  func transport(_ change: (inout HTTPTransportConfiguration) throws -> Void = { _ in }) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    try change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  @Test(arguments: [301, 302, 303, 307, 308]) func `On the same origin are followed`(code: Int) async throws {
    let transport = try transport()
    let exchange = try await transport.send(.get(url("/redirect?code=\(code)&to=/ok?size=4")))
    #expect(exchange.response.status == .ok)
    #expect(exchange.effectiveURL == url("/ok?size=4"))
    #expect(try await exchange.body.collect(upTo: 4).count == 4)
    #expect(transport.counters.requests == 2)
    #expect(transport.counters.connections == 1)
  }

  @Test func `never lead from this machine to another in the clear`() async throws {
    let error = try await transport().failure(.get(url("/redirect?to=http://192.0.2.1/ok")))
    #expect(
      error?.code == .redirectRefused && error?.message.contains("in the clear") == true, "\(String(describing: error))"
    )
  }

  @Test func `Keep credentials on the same origin`() async throws {
    let transport = try transport {
      $0.credentials = try HTTPCredentials(.bearer(HTTPSecret("token-1")), for: HTTPOrigin(of: url("/")))
    }
    #expect(try await transport.text(.get(url("/redirect?to=/echo"))).contains("Bearer token-1"))
  }

  @Test func `Are a response like any other when none is to be followed`() async throws {
    let exchange = try await transport { $0.redirects = .none }.send(.get(url("/redirect?to=/ok")))
    #expect(exchange.response.status.code == 302)
    #expect(exchange.response.headerFields[.location] == "/ok")
  }

  @Test func `Come to an end`() async throws {
    let transport = try transport { $0.redirects = .follow(maximum: 3) }
    let error = await transport.failure(.get(url("/loop")))
    #expect(error?.code == .redirectRefused)
    #expect(transport.counters.requests == 4)
  }

  @Test func `To another origin carry nothing but harmless fields`() async throws {
    let fields: HTTPFields = [HTTPField.Name("X-API-Key")!: "hush", .ifNoneMatch: "\"a\""]
    let exchange = try await transport().send(.get(url("/redirect?to=\(otherURL("/echo"))"), fields))
    #expect(exchange.effectiveURL == otherURL("/echo"))
    let echo = String(decoding: try await exchange.body.collect(upTo: 10_000), as: UTF8.self)
    #expect(!echo.contains("hush"))
    #expect(echo.contains("If-None-Match"))
  }

  @Test func `To another origin are refused when credentials would go along`() async throws {
    let target = otherURL("/echo")
    let certificates = try await Certificates.shared.value
    let withToken = try transport {
      $0.credentials = try HTTPCredentials(.bearer(HTTPSecret("token-1")), for: HTTPOrigin(of: url("/")))
    }
    let errors = [
      await withToken.failure(.get(url("/redirect?to=\(target)"))),
      await withToken.failure(.get(url("/redirect?to=http://localhost:\(server.port)/echo"))),
      try await transport().failure(.get(url("/redirect?to=\(target)"), [.authorization: "Bearer token-1"])),
      try await transport().failure(.get(url("/redirect?to=\(target)"), [.cookie: "a=b"])),
      try await transport {
        $0.tls.clientCertificate = HTTPClientCertificate(
          certificateFile: certificates.certificate("client"), keyFile: certificates.key("client"))
      }.failure(.get(url("/redirect?to=\(target)"))),
    ]
    for error in errors {
      #expect(error?.code == .redirectRefused, "\(String(describing: error))")
      #expect(error?.description.contains("token-1") == false)
    }
    #expect(other.log.isEmpty)
  }

  @Test(arguments: [
    "ftp://127.0.0.1/", "file:///etc/passwd", "http://user:secret@127.0.0.1/", "http://[::1", "gopher:x",
  ])
  func `To where no request may go are refused`(target: String) async throws {
    let error = try await transport().failure(.get(url("/redirect?to=\(target)")))
    #expect(error?.code == .redirectRefused)
    #expect(error?.description.contains("secret") == false)
  }

  @Test func `Of anything but GET and HEAD are refused`() async throws {
    let error = try await transport().failure(.make(.post, url("/redirect?code=307&to=/ok")), body: [1])
    #expect(error?.code == .redirectRefused)
  }

  @Test func `From https down to http are refused`() async throws {
    let certificates = try await Certificates.shared.value
    let secure = try await PythonServer.start(
      "hostile", ["--tls", certificates.certificate("server"), certificates.key("server")])
    let transport = try transport { $0.tls.trust = .only(file: certificates.authority) }
    let base = "https://localhost:\(secure.port)"
    #expect(try await transport.send(.get("\(base)/redirect?to=/ok")).response.status == .ok)
    let error = await transport.failure(.get("\(base)/redirect?to=\(otherURL("/ok"))"))
    #expect(error?.code == .redirectRefused)
    #expect(other.log.isEmpty)
    // Up to https is fine, without credentials.
    #expect(try await transport.send(.get(url("/redirect?to=\(base)/ok"))).response.status == .ok)
  }
}
