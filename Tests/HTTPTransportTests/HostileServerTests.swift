import Glibc
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

@Suite struct `A hostile server` {
  let server: PythonServer
  let transport: HTTPTransport

  init() async throws {
    server = try await PythonServer.hostile.value
    transport = try HTTPTransport()
  }

  func url(_ path: String) -> String { "http://127.0.0.1:\(server.port)\(path)" }

  func transport(_ change: (inout HTTPTransportConfiguration) -> Void) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  @Test func `cannot pass a truncated body off as whole`() async throws {
    let error = await transport.failure(.get(url("/truncated")))
    #expect(error?.code == .truncated && error?.isRetryable == true)
  }

  @Test(arguments: ["/endless-header", "/endless-line", "/endless-interim", "/endless-trailer"])
  func `cannot send a header without end`(path: String) async throws {
    let error = await transport.failure(.get(url(path)))
    #expect(error?.code == .headerTooLarge && error?.isRetryable == false, "\(String(describing: error))")
    // Headers go into memory, so very little may have come: the limit and what the sockets hold.
    #expect(transport.counters.bytesReceived < 8 << 20)
  }

  @Test func `cannot send a body without end`() async throws {
    let error = await transport.failure(.get(url("/endless")), limits: .body(1 << 20))
    #expect(error?.code == .tooLarge)
    #expect(transport.counters.bytesReceived < 16 << 20)
  }

  @Test func `is not listened to when it announces too much`() async throws {
    let error = await transport.failure(.get(url("/announced?size=2000")), limits: .body(1999))
    #expect(error?.code == .tooLarge)
  }

  @Test func `may send exactly as much as is allowed`() async throws {
    #expect(await transport.failure(.get(url("/ok?size=70000")), limits: .body(70_000)) == nil)
    #expect(await transport.failure(.get(url("/ok?size=70001")), limits: .body(70_000))?.code == .tooLarge)
  }

  @Test func `cannot fill the memory of somebody who collects`() async throws {
    let exchange = try await transport.send(.get(url("/endless")))
    let error = await #expect(throws: HTTPTransportError.self) { try await exchange.body.collect(upTo: 100_000) }
    #expect(error?.code == .tooLarge)
  }

  @Test func `may compress`() async throws {
    let text = try await transport.text(.get(url("/encoded?encoding=gzip")))
    #expect(text == String(repeating: "the same text again and again, ", count: 1000))
    #expect(transport.counters.bytesReceived < 1000)
  }

  @Test func `may send what grows a thousandfold, to a reader who wants it, without losing any`() async throws {
    let exchange = try await transport.send(.get(url("/bomb?encoding=gzip&size=40")))
    var count = 0
    for try await chunk in exchange.body {
      #expect(chunk.count <= 256 << 10)
      count += chunk.count
    }
    #expect(count == 40 << 20)
  }

  @Test func `cannot send a bomb, and is blamed for it`() async throws {
    var limits = HTTPLimits()
    limits.decodedBytes = 1 << 20
    let error = await transport.failure(.get(url("/bomb?encoding=gzip&size=64")), limits: limits)
    #expect(error?.code == .protocolViolation, "\(String(describing: error))")
    let exchange = try await transport.send(.get(url("/bomb?encoding=gzip&size=40")))
    let collected = await #expect(throws: HTTPTransportError.self) { try await exchange.body.collect(upTo: 64 << 20) }
    #expect(collected?.code == .protocolViolation)
  }

  @Test func `cannot use a coding that was not asked for`() async throws {
    #expect(await transport.failure(.get(url("/encoded?encoding=br")))?.code == .protocolViolation)
  }

  @Test func `cannot cut what it compressed, whatever length it says`() async throws {
    let error = await transport.failure(.get(url("/cut-gzip")))
    #expect(error?.code == .truncated && error?.isRetryable == true, "\(String(describing: error))")
  }

  @Test func `is held to the encoded size even when nothing comes of it`() async throws {
    var limits = HTTPLimits()
    limits.encodedBytes = 1 << 20
    let error = await transport.failure(.get(url("/nothing-gzip")), limits: limits)
    #expect(error?.code == .tooLarge, "\(String(describing: error))")
  }

  @Test func `is told apart from a compressing one`() async throws {
    #expect(await transport.failure(.get(url("/bad-gzip")))?.code == .protocolViolation)
  }

  @Test(arguments: ["/drip", "/stall", "/silent"]) func `cannot outlast the deadline`(path: String) async throws {
    let clock = ContinuousClock()
    let begin = clock.now
    let error = await transport.failure(.get(url(path)), deadline: begin + .milliseconds(300))
    #expect(error?.code == .timeout && error?.isRetryable == true)
    #expect(clock.now - begin < .seconds(30))
  }

  @Test func `cannot outlast the deadline of somebody who does not read`() async throws {
    let error = await #expect(throws: HTTPTransportError.self) {
      let exchange = try await transport.send(.get(url("/endless")), deadline: .now + .milliseconds(300))
      var iterator = exchange.body.makeAsyncIterator()
      _ = try await iterator.next(isolation: nil)
      // The other exchange's deadline comes later, so that this one's has passed, unread, by then.
      _ = await transport.failure(.get(url("/silent")), deadline: .now + .milliseconds(600))
      while try await iterator.next(isolation: nil) != nil {}
    }
    #expect(error?.code == .timeout)
  }

  @Test func `cannot make those who wait behind it miss their deadlines`() async throws {
    let transport = try transport { $0.maximumConcurrentExchanges = 1 }
    let address = url("/silent")
    let first = Task { await transport.failure(.get(address)) }
    let begin = ContinuousClock.now
    #expect(await transport.failure(.get(address), deadline: begin + .milliseconds(200))?.code == .timeout)
    #expect(ContinuousClock.now - begin < .seconds(30))
    first.cancel()
    #expect(await first.value?.code == .cancelled)
  }

  @Test func `cannot drip below the stall limit`() async throws {
    let transport = try transport { $0.stallLimit = HTTPStallLimit(bytesPerSecond: 100, for: .seconds(1)) }
    let error = await transport.failure(.get(url("/drip")))
    #expect(error?.code == .stalled && error?.isRetryable == true, "\(String(describing: error))")
  }

  @Test func `is not blamed for a reader that is slow`() async throws {
    let transport = try transport { $0.stallLimit = HTTPStallLimit(bytesPerSecond: 100, for: .seconds(3)) }
    // A server that no other test keeps busy.
    let server = try await PythonServer.start("hostile")
    let url = { @Sendable (path: String) in "http://127.0.0.1:\(server.port)\(path)" }
    let unread = try await transport.send(.get(url("/endless")))
    // The other exchange's stall begins later than this one's would.
    #expect(await transport.failure(.get(url("/stall")))?.code == .stalled)
    var iterator = unread.body.makeAsyncIterator()
    for _ in 0..<5 { #expect(try await iterator.next(isolation: nil) != nil) }
    unread.cancel()
  }

  @Test(arguments: ["/reset", "/empty"]) func `may break the connection`(path: String) async throws {
    let error = await transport.failure(.get(url(path)))
    #expect(error?.code == .connectionLost && error?.isRetryable == true, "\(String(describing: error))")
  }

  @Test func `may not speak HTTP at all`() async throws {
    let error = await transport.failure(.get(url("/garbage")))
    #expect(error?.code == .protocolViolation && error?.isRetryable == false)
  }

  @Test func `may not be there`() async throws {
    let port = Endpoint.reservedPort()
    let error = await transport.failure(.get("http://127.0.0.1:\(port)/"))
    #expect(error?.code == .unreachable && error?.isRetryable == true)
    #expect(error?.message.contains("127.0.0.1:\(port)") == true)
  }

  @Test func `may have no address`() async throws {
    let error = await transport.failure(.get("http://nowhere.invalid/"))
    #expect(error?.code == .nameResolution && error?.isRetryable == true)
    #expect(error?.message.contains("nowhere.invalid") == true)
  }

  @Test func `may be slow to connect`() async throws {
    // A listener whose backlog is full answers no more: Linux drops further connection requests.
    let full = try FullListener()
    let transport = try transport { $0.connectTimeout = .milliseconds(200) }
    let error = await transport.failure(.get("http://127.0.0.1:\(full.port)/"))
    #expect(error?.code == .connectTimeout && error?.isRetryable == true, "\(String(describing: error))")
  }
}

/// Listens, never accepts, and has no room left.
private final class FullListener {
  let port: Int
  private var sockets: [Int32] = []

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    sockets.append(listener)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    port = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length)
        getsockname(listener, $0, &length)
      }
      return Int(UInt16(bigEndian: $0.pointee.sin_port))
    }
    guard listen(listener, 0) == 0 else { throw ChildProcess.Failure(description: "listen") }
    for _ in 0..<4 {
      let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_NONBLOCK, 0)
      withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = connect(client, $0, length) }
      }
      sockets.append(client)
    }
  }

  deinit { for socket in sockets { close(socket) } }
}
