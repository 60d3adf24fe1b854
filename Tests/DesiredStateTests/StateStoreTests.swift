import DesiredState
import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@Suite("The store")
struct StateStoreTests {
  let agent = Agent()
  let backend = MockBackend()

  private func adopt(_ documents: [String: String]) async throws {
    backend.publish(documents)
    let outcome = try await agent.cycle([backend], policy: backend.policy)
    #expect(outcome.word == "current")
  }

  private var blobs: Set<String> {
    get throws { Set(try FileManager.default.contentsOfDirectory(atPath: agent.path + "/blobs")) }
  }

  @Test("Documents of the last two states are kept, older ones are cleared away") func garbage() async throws {
    try await adopt(["a": "1"])
    try await adopt(["a": "2"])
    #expect(try blobs.isSuperset(of: [Digest.of("1".utf8).fileName, Digest.of("2".utf8).fileName]))
    try await adopt(["a": "3"])
    let left = try blobs
    #expect(!left.contains(Digest.of("1".utf8).fileName))
    #expect(left.isSuperset(of: [Digest.of("2".utf8).fileName, Digest.of("3".utf8).fileName]))
    #expect(left.count == 4, "two documents and two manifests")
  }

  @Test("A second opening is refused until the first is closed") func locked() async throws {
    let first = try await StateStore.open(agent.path)
    await #expect { try await StateStore.open(agent.path) } throws: { ($0 as? StoreError)?.code == .locked }
    await first.close()
    _ = try await StateStore.open(agent.path)
  }

  @Test(
    "A record that cannot be read is not replaced by an empty one",
    arguments: ["", "{", "{\"format\":2}"])
  func damagedRecord(_ text: String) async throws {
    try await adopt(["a": "1"])
    let record = agent.path + "/state.json"
    try Data(text.utf8).write(to: URL(fileURLWithPath: record))
    await #expect { try await StateStore.open(agent.path) } throws: { ($0 as? StoreError)?.code == .damaged }
    #expect(try String(contentsOfFile: record, encoding: .utf8) == text)
  }

  @Test("A document that is damaged on the disk is not handed out as good") func damagedDocument() async throws {
    try await adopt(["a": "good"])
    let document = try #require(agent.updates.withLock { $0.last?.documents.first })
    try FileManager.default.removeItem(atPath: document.path)
    try Data("evil".utf8).write(to: URL(fileURLWithPath: document.path))
    await #expect { try await document.contents() } throws: { ($0 as? StoreError)?.code == .documentDamaged }
  }

  @Test("Reading the status of what is no store says so") func noStore() async throws {
    await #expect { try await StoreStatus.read("/nonexistent") } throws: { ($0 as? StoreError)?.code == .notAStore }
  }
}
