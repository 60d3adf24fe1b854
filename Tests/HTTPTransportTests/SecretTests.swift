import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import Testing

@Suite struct Secrets {
  let server: PythonServer

  init() async throws {
    server = try await PythonServer.hostile.value
  }

  func url(_ path: String, host: String = "127.0.0.1") -> String { "http://\(host):\(server.port)\(path)" }

  func transport(_ scheme: HTTPCredentials.Scheme) throws -> HTTPTransport {
    try HTTPTransport(
      configuration: HTTPTransportConfiguration(
        credentials: HTTPCredentials(scheme, for: HTTPOrigin(of: url("/")))))
  }

  @Test func `Show in no description`() throws {
    var configuration = HTTPTransportConfiguration(
      proxy: .proxy(try HTTPProxy("http://agent:hush-1@127.0.0.1:3128")),
      credentials: HTTPCredentials(.bearer(HTTPSecret("hush-2")), for: try HTTPOrigin(of: "https://a.example")))
    configuration.tls.clientCertificate = HTTPClientCertificate(
      certificateFile: "/c", keyFile: "/k", passphrase: HTTPSecret("hush-3"))
    var dumped = ""
    dump(configuration, to: &dumped)
    let basic = HTTPCredentials.Scheme.basic(user: "agent", password: HTTPSecret("hush-4"))
    dump(basic, to: &dumped)
    let shown = "\(configuration) \(String(reflecting: configuration)) \(basic) \(dumped) \(HTTPSecret("hush-5"))"
    #expect(!shown.contains("hush"))
    #expect(shown.contains("•••"))
  }

  @Test func `Go to their own origin only`() async throws {
    let transport = try transport(.bearer(HTTPSecret("token-1")))
    #expect(try await transport.text(.get(url("/echo"))).contains("[\"Authorization\", \"Bearer token-1\"]"))
    #expect(try await !transport.text(.get(url("/echo", host: "localhost"))).contains("Authorization"))
  }

  @Test func `Are sent as basic credentials`() async throws {
    let transport = try transport(.basic(user: "agent", password: HTTPSecret("p:ss wörd")))
    let echo = try await transport.text(.get(url("/echo")))
    #expect(echo.contains("[\"Authorization\", \"Basic YWdlbnQ6cDpzcyB3w7ZyZA==\"]"), "\(echo)")
  }

  @Test func `Give way to a request's own`() async throws {
    let transport = try transport(.bearer(HTTPSecret("token-1")))
    let echo = try await transport.text(.get(url("/echo"), [.authorization: "Own way"]))
    #expect(echo.contains("Own way") && !echo.contains("token-1"))
  }

  @Test(arguments: [
    "/truncated", "/reset", "/garbage", "/empty", "/endless-header", "/loop", "/redirect?to=http://x.invalid/",
  ])
  func `Show in no error`(path: String) async throws {
    let transport = try transport(.bearer(HTTPSecret("token-1")))
    let query = path.contains("?") ? "&sig=hush" : "?sig=hush"
    let error = await transport.failure(.get(url(path + query)))
    let shown = "\(String(describing: error)) \(String(reflecting: error))"
    #expect(error != nil)
    #expect(!shown.contains("token-1") && !shown.contains("hush"), "\(shown)")
  }

  @Test func `Cannot smuggle a header field in`() {
    for scheme in [
      HTTPCredentials.Scheme.bearer(HTTPSecret("token\r\nX-Evil: 1")), .bearer(HTTPSecret("")),
      .bearer(HTTPSecret("a b")),
      .basic(user: "a:b", password: HTTPSecret("c")), .basic(user: "", password: HTTPSecret("c")),
    ] {
      let error = #expect(throws: HTTPTransportError.self) { try transport(scheme) }
      #expect(error?.code == .configuration)
    }
  }
}
