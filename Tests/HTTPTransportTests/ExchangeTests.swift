import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import Testing

@Suite struct `Exchanges with a plain server` {
  let server: PythonServer
  let transport: HTTPTransport

  init() async throws {
    server = try await PythonServer.hostile.value
    // Under load a test may be slower than the usual stall limit.
    var configuration = HTTPTransportConfiguration()
    configuration.stallLimit = nil
    transport = try HTTPTransport(configuration: configuration)
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(server.port)\(path)" }

  struct Echo: Decodable {
    var method: String
    var fields: [[String]]
    var length: Int
    var sum: UInt32
    func values(_ name: String) -> [String] { fields.filter { $0[0].lowercased() == name }.map { $0[1] } }
  }

  func echo(_ request: HTTPRequest, _ body: [UInt8]? = nil) async throws -> Echo {
    try JSONDecoder().decode(Echo.self, from: Data(try await transport.text(request, body: body).utf8))
  }

  @Test func `A body arrives whole and in order`() async throws {
    let exchange = try await transport.send(.get(url("/ok?size=3000000")))
    #expect(exchange.response.status == .ok)
    #expect(exchange.effectiveURL == url("/ok?size=3000000"))
    var count = 0
    for try await chunk in exchange.body {
      #expect(chunk.first == UInt8(ascii: "x") && chunk.last == UInt8(ascii: "x"))
      count += chunk.count
    }
    #expect(count == 3_000_000)
  }

  @Test func `A chunked body and its trailer are read`() async throws {
    #expect(try await transport.text(.get(url("/chunked"))) == "hello world")
  }

  @Test func `Interim responses are passed over`() async throws {
    let exchange = try await transport.send(.get(url("/interim")))
    #expect(exchange.response.status == .ok)
    #expect(exchange.response.headerFields[HTTPField.Name("Link")!] == nil)
    #expect(try await exchange.body.collect(upTo: 10) == Array("ok".utf8))
  }

  @Test func `Repeated, folded, empty and misnamed fields are taken as far as they make sense`() async throws {
    let response = try await transport.send(.get(url("/fields"))).response
    #expect(response.status.reasonPhrase == "All Right")
    #expect(response.headerFields[values: HTTPField.Name("X-Many")!] == ["1", "2"])
    #expect(response.headerFields[HTTPField.Name("X-Folded")!] == "a b")
    #expect(response.headerFields[HTTPField.Name("X-Empty")!] == "")
  }

  @Test(arguments: [204, 304]) func `A response without a body ends with its header`(status: Int) async throws {
    let exchange = try await transport.send(.get(url("/status?code=\(status)")))
    #expect(exchange.response.status.code == status)
    #expect(exchange.response.headerFields[.eTag] == "\"a\"")
    #expect(try await exchange.body.collect(upTo: 0) == [])
    #expect(try await transport.text(.get(url("/chunked"))) == "hello world")
    #expect(transport.counters.connections == 1)
  }

  @Test func `HEAD has no body, whatever length it names`() async throws {
    let exchange = try await transport.send(.make(.head, url("/ok?size=5000000000")))
    #expect(exchange.response.headerFields[.contentLength] == "5000000000")
    #expect(try await exchange.body.collect(upTo: 0) == [])
  }

  @Test(arguments: [HTTPRequest.Method.get, .post, .put, .patch, .delete, .options])
  func `Methods and fields go out as given`(method: HTTPRequest.Method) async throws {
    let echo = try await echo(.make(method, url("/echo?a=b"), [.ifNoneMatch: "\"x\"", HTTPField.Name("X-Empty")!: ""]))
    #expect(echo.method == method.rawValue)
    #expect(echo.values("if-none-match") == ["\"x\""])
    #expect(echo.values("x-empty") == [""])
    #expect(echo.values("accept-encoding") == ["gzip"])
    #expect(echo.values("expect") == [] && echo.values("content-type") == [])
    #expect(echo.values("content-length") == ([.post, .put, .patch].contains(method) ? ["0"] : []))
  }

  @Test(arguments: [0, 1, 100_000, 1_000_000]) func `A body from memory is sent`(size: Int) async throws {
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let echo = try await echo(.make(.post, url("/echo"), [.contentType: "a/b"]), bytes)
    #expect(echo.length == size)
    #expect(echo.sum == crc32(bytes))
    #expect(echo.values("content-type") == ["a/b"])
  }

  @Test func `A server that refuses a body is heard`() async throws {
    let body = [UInt8](repeating: 7, count: 1000)
    #expect(try await transport.send(.make(.post, url("/early"), [:]), body: body).response.status.code == 413)
  }

  @Test func `One connection serves one request after another`() async throws {
    for _ in 0..<20 { _ = try await transport.text(.get(url("/ok?size=1000"))) }
    #expect(transport.counters.connections == 1)
    #expect(transport.counters.requests == 20)
  }

  @Test func `A small body nobody reads does not cost the connection`() async throws {
    for _ in 0..<5 { #expect(try await transport.send(.get(url("/nothing-here"))).response.status == .notFound) }
    #expect(transport.counters.connections == 1)
  }

  @Test func `A kept connection that the server closed is replaced without notice`() async throws {
    for method in [HTTPRequest.Method.get, .post] {
      let body: [UInt8]? = method == .post ? [1, 2, 3] : nil
      #expect(try await transport.text(.make(method, url("/close")), body: body) == "kept")
      // The server has this request, and closes without an answer; on a new connection it answers.
      #expect(try await transport.text(.make(method, url("/ok?size=3")), body: body) == "xxx")
    }
  }

  @Test func `More exchanges than may run at once wait their turn`() async throws {
    var configuration = HTTPTransportConfiguration()
    configuration.maximumConcurrentExchanges = 3
    configuration.maximumConnectionsPerHost = 2
    let transport = try HTTPTransport(configuration: configuration)
    let address = url("/ok?size=20000")
    let counts = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<40 {
        group.addTask { try await transport.send(.get(address)).body.collect(upTo: 20_000).count }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(counts == [Int](repeating: 20_000, count: 40))
    #expect(transport.counters.connections <= 2)
  }

  @Test func `Wire counters count what the kernel does`() async throws {
    _ = try await transport.text(.get(url("/ok?size=1000")))
    let before = transport.counters
    _ = try await transport.text(.get(url("/ok?size=100000")))
    let spent = transport.counters - before
    #expect(spent.requests == 1 && spent.connections == 0)
    #expect((100_000..<100_300).contains(spent.bytesReceived))
    #expect((50..<300).contains(spent.bytesSent))
  }

  @Test func `An exchange may outlive its transport`() async throws {
    let exchange = try await HTTPTransport().send(.get(url("/ok?size=2000000")))
    #expect(try await exchange.body.collect(upTo: 2_000_000).count == 2_000_000)
  }

  @Test func `Shutting down ends what is under way, and what comes after`() async throws {
    let exchange = try await transport.send(.get(url("/stall")))
    await transport.shutdown()
    let error = await #expect(throws: HTTPTransportError.self) { for try await _ in exchange.body {} }
    #expect(error?.code == .shutDown)
    #expect(await transport.failure(.get(url("/ok")))?.code == .shutDown)
    await transport.shutdown()
  }

  @Test func `IPv6 addresses work`() async throws {
    let server = try await PythonServer.start("hostile", ["--host", "::1"])
    #expect(try await transport.text(.get("http://[::1]:\(server.port)/chunked")) == "hello world")
    #expect(server.log.contains("Host: [::1]:\(server.port)"))
  }

  @Test(arguments: [
    "http://user:secret@127.0.0.1/x", "http://a b/x", "http://127.0.0.1/x y", "http://127.0.0.1/ü", "ftp://127.0.0.1/x",
    "file://localhost/etc/passwd", "http://127.0.0.1:99999/", "http://a\\b/", "http://127.0.0.1/x#y",
  ])
  func `A request that means more than it says is not sent`(url: String) async throws {
    let error = await transport.failure(.get(url))
    #expect(error?.code == .invalidRequest)
    #expect(error?.description.contains("secret") == false)
    #expect(transport.counters.connections == 0)
  }

  @Test func `Fields that frame the message cannot be set`() async throws {
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization"] {
      let error = await transport.failure(.get(url("/ok"), [HTTPField.Name(name)!: "1"]))
      #expect(error?.code == .invalidRequest)
    }
  }
}

/// As zlib's, which the fixture answers with.
func crc32(_ bytes: [UInt8]) -> UInt32 {
  var table = [UInt32](repeating: 0, count: 256)
  for index in 0..<256 {
    var sum = UInt32(index)
    for _ in 0..<8 { sum = sum & 1 == 1 ? 0xedb8_8320 ^ (sum >> 1) : sum >> 1 }
    table[index] = sum
  }
  var sum = ~UInt32(0)
  for byte in bytes { sum = table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ (sum >> 8) }
  return ~sum
}
