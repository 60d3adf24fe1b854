import DesiredState
import Foundation
import TestSupport

/// A repository behind a server with the manners of other servers: Fixtures/git-server.py says which there are.
final class ScriptedServer: RoadUnderTest {
  let repository: OperatorRepository
  private let port = Endpoint.reservedPort()
  private let folder = TemporaryDirectory()
  private let process: ServerProcess

  init(_ repository: OperatorRepository, _ options: [String]) async throws {
    self.repository = repository
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/git-server.py").path
    process = ServerProcess(
      ["python3", script, "\(port)", repository.path, folder["log"]] + options, listeningAt: [.port(port)],
      output: folder["output"])
    try await process.start()
  }

  var address: String { "git+http://127.0.0.1:\(port)/repository.git" }
  var settings: BackendSettings { BackendSettings() }
  var secrets: [String] { [] }
  /// A line for each request that was answered.
  var log: [String] {
    let text = (try? contents(of: folder["log"])) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  func makeUnreachable() async throws { try await process.stop() }
  func makeReachable() async throws { try await process.start() }
  func stall() async throws { process.freeze() }
  func waitUntilStalled() async throws {}
  func resume() async throws { process.thaw() }
  func bytes() async throws -> UInt64? { nil }
  func tearDown() async { try? await process.stop() }
}
