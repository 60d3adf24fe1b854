import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

@Suite struct `From a thread that may block` {
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

  @Test func `a response is read to its end`() async throws {
    let (transport, address) = (transport, url("/redirect?to=/ok?size=2000000"))
    let count = try await onThread {
      let exchange = try transport.sendBlocking(.get(address))
      #expect(exchange.response.status == .ok)
      var count = 0
      while let chunk = try exchange.next() { count += chunk.count }
      return count
    }
    #expect(count == 2_000_000)
  }

  @Test func `a body is written before the response is read`() async throws {
    let (transport, address) = (transport, url("/echo"))
    let text = try await onThread {
      let pipe = HTTPRequestBodyPipe()
      let request = try transport.beginBlocking(.make(.post, address), body: .pipe(pipe))
      for _ in 0..<100 { try pipe.writeBlocking([UInt8](repeating: 9, count: 30_000)) }
      pipe.finish()
      let exchange = try request.exchange()
      var body: [UInt8] = []
      while let chunk = try exchange.next() { body += chunk }
      return String(decoding: body, as: UTF8.self)
    }
    #expect(text.contains("\"length\": 3000000"))
  }

  @Test func `a blocked reader and a blocked writer are set free by cancelling`() async throws {
    let (transport, stalled, silent) = (transport, url("/stall"), url("/silent"))
    let exchange = try await onThread { try transport.sendBlocking(.get(stalled)) }
    async let reading = onThread { () -> HTTPTransportError.Code? in
      do throws(HTTPTransportError) {
        while try exchange.next() != nil {}
        return nil
      } catch { return error.code }
    }
    exchange.cancel()
    #expect(try await reading == .cancelled)

    let pipe = HTTPRequestBodyPipe()
    let request = try await onThread { try transport.beginBlocking(.make(.post, silent), body: .pipe(pipe)) }
    async let writing = onThread { () -> HTTPTransportError.Code? in
      do throws(HTTPTransportError) {
        while true { try pipe.writeBlocking([UInt8](repeating: 0, count: 100_000)) }
      } catch { return error.code }
    }
    request.cancel()
    #expect(try await writing == .cancelled)
  }

  @Test func `errors are the same`() async throws {
    let (transport, address) = (transport, url("/truncated"))
    let code = try await onThread { () -> HTTPTransportError.Code? in
      do throws(HTTPTransportError) {
        let exchange = try transport.sendBlocking(.get(address))
        while try exchange.next() != nil {}
        return nil
      } catch { return error.code }
    }
    #expect(code == .truncated)
  }
}
