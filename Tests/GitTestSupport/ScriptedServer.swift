package import DesiredState
import Foundation
import TestSupport

/// A repository behind a server with the manners of other servers: Fixtures/git-server.py says which there are.
package final class ScriptedServer: TransportUnderTest {
  package let repository: OperatorRepository
  private let port = Endpoint.reservedPort()
  private let folder = TemporaryDirectory()
  private let process: ServerProcess

  package init(_ repository: OperatorRepository, _ options: [String]) async throws {
    self.repository = repository
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Fixtures/git-server.py").path
    process = ServerProcess(
      ["python3", script, "\(port)", repository.path, folder["log"]] + options, listeningAt: [.port(port)],
      output: folder["output"])
    try await process.start()
  }

  package var address: String { "git+http://127.0.0.1:\(port)/repository.git" }
  package var settings: BackendSettings { BackendSettings() }
  package var secrets: [String] { [] }
  /// A line for each request that was answered.
  package var log: [String] {
    let text = (try? contents(of: folder["log"])) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  package func makeUnreachable() async throws { try await process.stop() }
  package func makeReachable() async throws { try await process.start() }
  package func stall() async throws { try await process.freeze() }
  package func waitUntilStalled() async throws {}
  package func resume() async throws { process.thaw() }
  package func bytes() async throws -> UInt64? { nil }
  package func tearDown() async { try? await process.stop() }
}
