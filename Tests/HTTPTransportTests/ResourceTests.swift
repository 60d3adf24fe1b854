import Foundation
import Glibc
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

/// In processes of their own, where nothing else opens files, starts threads or takes memory.
@Suite(.serialized) struct Resources {
  @Test(arguments: [HTTPVersionPreference.http1, .http2])
  func `A large body takes no more memory than a small one`(versions: HTTPVersionPreference) async {
    let isSecond = versions == .http2
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) { [isSecond = isSecond as Bool] in
        let transport = try await trusting { $0.versions = isSecond ? .http2 : .http1 }
        let nginx = try await NginxServer.shared.value
        _ = try await transport.text(.get(nginx.url(.good, "/small")))
        let before = Holdings()
        let begin = ContinuousClock.now
        let path = isSecond ? "/huge" : "/large"
        let exchange = try await transport.send(.get(nginx.url(.good, path)), limits: .body(1 << 30))
        var count = 0
        for try await chunk in exchange.body { count += chunk.count }
        let time = ContinuousClock.now - begin
        let after = Holdings()
        #expect(count == (isSecond ? 1 << 30 : 64 << 20))
        #expect(!Holdings.countsMemory || after.peakMemory - before.peakMemory < 24 << 10, "\(before); \(after)")
        await transport.shutdown()
        measured(
          "\(count >> 20) MiB over HTTP/\(isSecond ? 2 : 1): \(time), peak grew by \(after.peakMemory - before.peakMemory) KiB"
        )
      })
  }

  @Test func `A body that nobody reads takes no more memory than its window`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let transport = try await trusting()
        let nginx = try await NginxServer.shared.value
        _ = try await transport.text(.get(nginx.url(.good, "/small")))
        let before = Holdings()
        let exchange = try await transport.send(.get(nginx.url(.good, "/huge")), limits: .body(1 << 30))
        // What the server may still send before it has to wait goes by in this time.
        for _ in 0..<200 { _ = try await transport.text(.get(nginx.url(.good, "/text.json"))) }
        let after = Holdings()
        // 32 MiB of HTTP/2 window that libcurl grants, and a little.
        #expect(!Holdings.countsMemory || after.peakMemory - before.peakMemory < 40 << 10, "\(before); \(after)")
        await transport.shutdown()
        measured("1 GiB unread over HTTP/2: peak grew by \(after.peakMemory - before.peakMemory) KiB")
        exchange.cancel()
      })
  }

  @Test func `Hundreds of exchanges of every kind leave nothing behind`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let transport = try await trusting()
        let nginx = try await NginxServer.shared.value
        let hostile = try await PythonServer.hostile.value
        func round() async throws {
          let plain = "http://127.0.0.1:\(hostile.port)"
          #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
          #expect(try await transport.send(.get(nginx.url(.good, "/large"))).response.status == .ok)
          #expect(try await transport.text(.make(.post, "\(plain)/echo"), body: [1, 2, 3]).contains("POST"))
          for path in ["/truncated", "/reset", "/garbage", "/redirect?to=ftp://x/"] {
            #expect(await transport.failure(.get("\(plain)\(path)")) != nil)
          }
          #expect(await transport.failure(.get(nginx.url(.expired, "/small"))) != nil)
          #expect(await transport.failure(.get("http://nowhere.invalid/")) != nil)
          let exchange = try await transport.send(.get("\(plain)/stall"))
          exchange.cancel()
        }
        for _ in 0..<10 { try await round() }
        let before = Holdings()
        for _ in 0..<30 { try await round() }
        let after = Holdings()
        #expect(after.descriptors <= before.descriptors + 2, "\(before); \(after)")
        #expect(after.threads <= before.threads + 1, "\(before); \(after)")
        #expect(!Holdings.countsMemory || after.memory - before.memory < 8 << 10, "\(before); \(after)")
        await transport.shutdown()
        measured("300 exchanges: \(before); \(after)")
      })
  }

  @Test func `Transports that are let go of leave nothing behind`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let hostile = try await PythonServer.hostile.value
        let nginx = try await NginxServer.shared.value
        func round() async throws {
          let transport = try await trusting()
          #expect(try await transport.text(.get(nginx.url(.good, "/small"))) == "small file\n")
          #expect(await transport.failure(.get(nginx.url(.expired, "/small"))) != nil)
          #expect(try await transport.text(.get("http://127.0.0.1:\(hostile.port)/chunked")) == "hello world")
          await transport.shutdown()
        }
        for _ in 0..<5 { try await round() }
        let before = Holdings()
        for _ in 0..<50 { try await round() }
        let after = Holdings()
        #expect(after.descriptors <= before.descriptors, "\(before); \(after)")
        // The last thread may still be on its way out.
        #expect(after.threads <= before.threads + 1, "\(before); \(after)")
        #expect(!Holdings.countsMemory || after.memory - before.memory < 8 << 10, "\(before); \(after)")
      })
  }
}

/// A transport that trusts the tests' authority.
func trusting(_ change: (inout HTTPTransportConfiguration) -> Void = { _ in }) async throws -> HTTPTransport {
  var configuration = HTTPTransportConfiguration()
  configuration.tls.trust = .only(file: try await Certificates.shared.value.authority)
  change(&configuration)
  return try HTTPTransport(configuration: configuration)
}

/// What a child process measured.
func show(_ result: ExitTest.Result?) {
  guard let result, !result.standardErrorContent.isEmpty else { return }
  FileHandle.standardError.write(Data(result.standardErrorContent))
}
