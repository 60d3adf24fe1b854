import Foundation
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import TestSupport
import Testing

@Suite struct Cancellation {
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

  /// Cancels the task as soon as `begun` says so, and returns how it ended. How soon is measured below, as
  /// other tests keep the cooperative pool busy meanwhile.
  func cancel(
    _ body: @escaping @Sendable (_ begun: AsyncStream<Void>.Continuation) async throws -> Void
  ) async -> HTTPTransportError.Code? {
    let (stream, begun) = AsyncStream<Void>.makeStream()
    let task = Task { try await body(begun) }
    for await _ in stream { break }
    task.cancel()
    if case .failure(let error) = await task.result { return (error as? HTTPTransportError)?.code }
    return nil
  }

  @Test func `In the middle of a stalled download takes effect at once`() async throws {
    let (transport, address) = (transport, url("/stall"))
    let code = await cancel { begun in
      let exchange = try await transport.send(.get(address))
      for try await _ in exchange.body { begun.yield() }
    }
    #expect(code == .cancelled)
    // The transport is as usable as before.
    #expect(try await transport.text(.get(url("/chunked"))) == "hello world")
  }

  @Test func `While waiting for an answer takes effect at once`() async throws {
    let (transport, address) = (transport, url("/silent"))
    let code = await cancel { begun in
      begun.yield()
      _ = try await transport.send(.get(address))
    }
    #expect(code == .cancelled)
  }

  @Test func `Of a body that is held back takes effect at once`() async throws {
    let exchange = try await transport.send(.get(url("/endless")))
    var iterator = exchange.body.makeAsyncIterator()
    _ = try await iterator.next(isolation: nil)
    exchange.cancel()
    let error = await #expect(throws: HTTPTransportError.self) { try await iterator.next(isolation: nil) }
    #expect(error?.code == .cancelled)
    #expect(try await transport.text(.get(url("/chunked"))) == "hello world")
  }

  @Test func `Before the request is sent keeps it from being sent`() async throws {
    let (transport, address) = (transport, url("/silent?never-sent"))
    let code = await cancel { begun in
      begun.yield()
      while !Task.isCancelled { await Task.yield() }
      _ = try await transport.send(.get(address))
    }
    #expect(code == .cancelled)
  }

  @Test func `Of many at once leaves none behind`() async throws {
    let (transport, address) = (transport, url("/stall"))
    let task = Task {
      await withTaskGroup(of: HTTPTransportError.Code?.self) { group in
        for _ in 0..<100 { group.addTask { await transport.failure(.get(address))?.code } }
        return await group.reduce(into: []) { $0.append($1) }
      }
    }
    // By another transport: in this one the hundred may have taken every connection that a host may have.
    _ = try await HTTPTransport().text(.get(url("/chunked")))
    task.cancel()
    #expect(await task.value == [HTTPTransportError.Code](repeating: .cancelled, count: 100))
    #expect(try await transport.text(.get(url("/chunked"))) == "hello world")
  }

  /// In a process of its own, where no other test keeps the cooperative pool busy. The promise is 200 ms;
  /// the bound leaves room for a machine under load.
  @Test func `Of a stalled download ends well within a second`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let server = try await PythonServer.hostile.value
        let transport = try HTTPTransport()
        var times: [Duration] = []
        for path in ["/stall", "/endless", "/stall", "/endless", "/stall"] {
          let exchange = try await transport.send(.get("http://127.0.0.1:\(server.port)\(path)"))
          let (stream, begun) = AsyncStream<Void>.makeStream()
          let task = Task {
            for try await _ in exchange.body { begun.yield() }
          }
          for await _ in stream { break }
          let begin = ContinuousClock.now
          task.cancel()
          let error = await #expect(throws: HTTPTransportError.self) { try await task.value }
          #expect(error?.code == .cancelled)
          times.append(ContinuousClock.now - begin)
        }
        times.sort()
        #expect(times[2] < .seconds(1), "\(times)")
        measured("cancelling a stalled download: median \(times[2]), longest \(times[4])")
      })
  }

  /// libcurl resolves on a thread of the resolver's own and, unless told otherwise, waits for it.
  @Test(.enabled(if: SilentNetwork.isPossible))
  func `While a name is being resolved takes effect at once, for the engine too`() async {
    show(
      await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
        let (questions, asked) = AsyncStream<Void>.makeStream()
        let (transport, server): (HTTPTransport, PythonServer) = try await withCheckedThrowingContinuation { ready in
          Thread {
            do {
              let network = try SilentNetwork()
              let server = try PythonServer("hostile")
              ready.resume(returning: (try HTTPTransport(), server))
              network.waitForQuestion()
              asked.yield()
            } catch {
              ready.resume(throwing: error)
            }
          }.start()
        }
        let task = Task { try await transport.send(.get("http://somewhere.example/")) }
        for await _ in questions { break }
        let begin = ContinuousClock.now
        task.cancel()
        let error = await #expect(throws: HTTPTransportError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(ContinuousClock.now - begin < .seconds(1))
        // The resolver waits five seconds for each answer. The engine must not wait for the resolver.
        #expect(try await transport.text(.get("http://127.0.0.1:\(server.port)/chunked")) == "hello world")
        let time = ContinuousClock.now - begin
        #expect(time < .seconds(3))
        measured("next answer after cancelling a name resolution: \(time)")
      })
  }
}
