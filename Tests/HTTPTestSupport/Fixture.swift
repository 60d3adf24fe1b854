import Foundation
import Glibc
import HTTPTransport
import HTTPTypes

/// A directory of the test's own, gone when let go of.
package final class TemporaryDirectory: Sendable {
  package let path: String

  /// Everything of this process, gone at its end with what is shared by its tests.
  private static let base: String = {
    atexit { try? FileManager.default.removeItem(atPath: "\(NSTemporaryDirectory())http-transport-\(getpid())") }
    return "\(NSTemporaryDirectory())http-transport-\(getpid())/"
  }()

  package init() {
    path = Self.base + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  package func file(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  package func write(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  /// By hand: Foundation leaks a buffer for every empty file it reads.
  package func read(_ name: String) -> String {
    let descriptor = open(file(name), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 { text += buffer[..<count] }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Runs what may block on a thread of its own.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}

/// One of the Python programs in Fixtures, listening on a port of its own.
package final class PythonServer: Sendable {
  package let port: Int
  private let process: ChildProcess
  private let directory = TemporaryDirectory()

  /// Started off the cooperative pool, which has few threads, as starting it waits.
  package static func start(_ program: String, _ arguments: [String] = []) async throws -> PythonServer {
    try await onThread { try PythonServer(program, arguments) }
  }

  /// Blocks until the program listens.
  package init(_ program: String, _ arguments: [String] = []) throws {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Fixtures/\(program).py").path
    process = try ChildProcess(["python3", "-B", file, "--log", directory.file("log")] + arguments)
    // It prints its port when it listens.
    guard let port = process.readLine().flatMap(Int.init) else {
      throw ChildProcess.Failure(description: "\(program).py did not start")
    }
    self.port = port
  }

  /// The heads of all requests so far.
  package var log: String { directory.read("log") }

  /// One plain server for all tests of a process; it keeps nothing from one connection to another.
  package static let hostile = Task { try await start("hostile") }
}

extension HTTPRequest {
  package static func get(_ url: String, _ fields: HTTPFields = [:]) -> HTTPRequest { make(.get, url, fields) }

  package static func make(_ method: Method, _ url: String, _ fields: HTTPFields = [:]) -> HTTPRequest {
    let scheme = url.prefix { $0 != ":" }
    let rest = url.dropFirst(scheme.count + 3)
    let authority = rest.prefix { $0 != "/" }
    return HTTPRequest(
      method: method, scheme: String(scheme), authority: String(authority),
      path: String(rest.dropFirst(authority.count)), headerFields: fields)
  }
}

extension HTTPTransport {
  /// The whole body as text.
  package func text(_ request: HTTPRequest, body: HTTPRequestBody = .none) async throws -> String {
    String(decoding: try await send(request, body: body).body.collect(upTo: 1 << 20), as: UTF8.self)
  }

  /// The error that an exchange ends with, wherever it does.
  package func failure(
    _ request: HTTPRequest, body: HTTPRequestBody = .none, limits: HTTPLimits? = nil,
    deadline: ContinuousClock.Instant? = nil
  ) async -> HTTPTransportError? {
    do throws(HTTPTransportError) {
      let exchange = try await send(request, body: body, limits: limits, deadline: deadline)
      for try await _ in exchange.body {}
      return nil
    } catch {
      return error
    }
  }
}
