import DesiredState
import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@Suite("Documents as agents read them")
struct DocumentTests {
  let agent = Agent()
  let backend = MockBackend()

  private struct Settings: Decodable, Equatable {
    var celsius: Int
    var zones: [String]
  }

  private func document(_ text: String) async throws -> Document {
    backend.publish(["settings": text])
    _ = try await agent.cycle([backend], policy: backend.policy)
    return try #require(agent.updates.withLock { $0.last }?.documents.first)
  }

  @Test("JSON becomes a value of the agent's type, and what is none or too long says so") func decode() async throws {
    let good = try await document(#"{"celsius": 210, "zones": ["a", "b"]}"#)
    #expect(try await good.decode(Settings.self) == Settings(celsius: 210, zones: ["a", "b"]))
    await #expect(throws: VerificationError.self) { try await good.decode(Settings.self, limit: 10) }
    let bad = try await document(#"{"celsius": "hot"}"#)
    await #expect(throws: DecodingError.self) { try await bad.decode(Settings.self) }
  }

  @Test("A document is written in pieces, and a damaged one leaves the file as it was") func write() async throws {
    let path = NSTemporaryDirectory() + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let text = String(repeating: "0123456789abcdef", count: 1 << 16)
    let large = try await document(text)
    try await large.write(to: path + "/settings", mode: 0o600)
    #expect(try String(contentsOfFile: path + "/settings", encoding: .utf8) == text)
    let mode = try FileManager.default.attributesOfItem(atPath: path + "/settings")[.posixPermissions] as? Int
    #expect(mode == 0o600)
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: large.path)
    try Data(text.replacing("9", with: "8").utf8).write(to: URL(fileURLWithPath: large.path))
    let error = await #expect(throws: StoreError.self) { try await large.write(to: path + "/settings") }
    #expect(error?.code == .documentDamaged)
    #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["settings"])
    #expect(try String(contentsOfFile: path + "/settings", encoding: .utf8) == text)
  }
}
