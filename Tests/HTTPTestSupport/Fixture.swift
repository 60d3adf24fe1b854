import Foundation
import Glibc
package import HTTPTransport
package import HTTPTypes
import TestSupport

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
    process = try ChildProcess(["python3", "-B", file, "--log", directory["log"]] + arguments)
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
  package func text(_ request: HTTPRequest, body: [UInt8]? = nil) async throws -> String {
    String(decoding: try await send(request, body: body).body.collect(upTo: 1 << 20), as: UTF8.self)
  }

  /// The error that an exchange ends with, wherever it does.
  package func failure(
    _ request: HTTPRequest, body: [UInt8]? = nil, limits: HTTPLimits? = nil,
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
