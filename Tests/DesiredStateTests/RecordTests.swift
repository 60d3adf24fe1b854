import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@testable import DesiredState

/// What is written down, and what becomes of it when the disk does not keep it.
@Suite("The record", .timeLimit(.minutes(5)))
struct RecordTests {
  let agent = Agent()
  let backend = MockBackend()
  var state: String { agent.path + "/state.json" }

  private func cycle() async throws -> String { try await agent.cycle([backend], policy: backend.policy).word }

  private func write(_ text: String, to path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test("A store whose record is gone is damaged, and never new: the floor would be lost") func recordGone()
    async throws
  {
    backend.publish(["a": "1"])
    #expect(try await cycle() == "current")
    try FileManager.default.removeItem(atPath: state)
    await #expect { try await StateStore.open(agent.path) } throws: { error in
      (error as? StoreError)?.code == .damaged && "\(error)".contains("restore it from a backup")
    }
    await #expect { try await StoreStatus.read(agent.path) } throws: { ($0 as? StoreError)?.code == .damaged }
  }

  @Test("A record of another version is told so, in words", arguments: [(1, "older"), (99, "newer")])
  func otherFormat(_ format: Int, _ word: String) async throws {
    backend.publish(["a": "1"])
    #expect(try await cycle() == "current")
    try write("{\"format\":\(format),\"kept\":[],\"markers\":{}}", to: state)
    await #expect { try await StateStore.open(agent.path) } throws: { error in
      (error as? StoreError)?.code == .wrongFormat && "\(error)".contains(word)
    }
  }

  @Test(
    "A directory where a file belongs, or a file where a directory does, is found at once",
    arguments: ["state.json", "contacts.json", "lock", "blobs", "incoming"])
  func wrongType(_ name: String) async throws {
    _ = try await StateStore.open(agent.path).close()
    let path = agent.path + "/" + name
    if FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
    if name.contains(".") || name == "lock" {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    } else {
      try write("", to: path)
    }
    await #expect { try await StateStore.open(agent.path) } throws: { "\($0)".contains(path) }
    try FileManager.default.removeItem(atPath: path)
    if name == "state.json" { return }
    _ = try await StateStore.open(agent.path)
  }

  @Test("What could not be read back is not written", arguments: ["large", "time"])
  func notStorable(_ what: String) async throws {
    let store = try await StateStore.open(agent.path)
    try await store.change { $0.device = "press-42" }
    let before = try Data(contentsOf: URL(fileURLWithPath: state))
    await #expect {
      try await store.change { record in
        if what == "large" { record.device = String(repeating: "x", count: 17 << 20) }
        if what == "time" { record.newestSigned = Date(timeIntervalSince1970: -100_000_000_000) }
      }
    } throws: { ($0 as? StoreError)?.code == .notStorable }
    #expect(try Data(contentsOf: URL(fileURLWithPath: state)) == before)
    await store.close()
    _ = try await StateStore.open(agent.path)
  }

  @Test("A store is for its user alone") func permissions() async throws {
    try FileManager.default.createDirectory(
      atPath: agent.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
    _ = try await StateStore.open(agent.path)
    for name in ["", "/blobs", "/incoming", "/requests"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: agent.path + name)
      #expect(attributes[.posixPermissions] as? Int == 0o700, "\(name)")
    }
  }

  @Test("What must be said is kept with what was done, where the outbox takes nothing, and said when it does")
  func acknowledgementsSurvive() async throws {
    backend.publish(["a": "1"])
    _ = try await StateStore.open(agent.path).close()
    let outbox = agent.path + "/outbox"
    try write("", to: outbox)
    let store = try await StateStore.open(agent.path)
    let adoption = Acknowledgement(
      device: "press-42", revision: nil, adoptedManifestVersion: 1, time: Date(timeIntervalSince1970: 1_750_000_000),
      outcome: .adopted)
    try await store.change(saying: [adoption]) { $0.floor = VersionFloor(version: 1, revision: Revision(.of([]))) }
    await #expect { try await store.moveAcknowledgements() } throws: { ($0 as? StoreError)?.code == .wrongType }
    await store.close()
    try FileManager.default.removeItem(atPath: outbox)
    #expect(try await StoreStatus.read(agent.path).waiting == 1)
    let again = try await StateStore.open(agent.path)
    try await again.moveAcknowledgements()
    #expect(try await again.outbox.waiting() == [adoption])
    #expect(try await StoreStatus.read(agent.path).waiting == 1)
    #expect(await again.record.acknowledgements.isEmpty)
  }

  @Test("An acknowledgement too large to be read back is refused when it is put in; one that rotted is set aside")
  func outboxFiles() async throws {
    _ = try await StateStore.open(agent.path).close()
    let outbox = Outbox(ofStore: agent.path)
    func acknowledgement(_ text: String) -> Acknowledgement {
      Acknowledgement(
        device: text, revision: nil, adoptedManifestVersion: 1, time: Date(timeIntervalSince1970: 1_750_000_000),
        outcome: .adopted)
    }
    await #expect { try await outbox.put([acknowledgement(String(repeating: "x", count: 2 << 20))]) } throws: {
      ($0 as? StoreError)?.code == .notStorable
    }
    try await outbox.put([acknowledgement("press-42")])
    try write("{", to: agent.path + "/outbox/document-a.json")
    #expect(try await outbox.waiting().count == 1)
    let status = try await StoreStatus.read(agent.path)
    #expect(status.waiting == 1)
    #expect(status.unreadable == ["document-a.json.unreadable"])
  }

  @Test("Polls that find nothing new write next to nothing, and neither do those that fail", arguments: [true, false])
  func quietPolls(_ isWell: Bool) async throws {
    let store = try await StateStore.open(agent.path)
    var now = Date(timeIntervalSince1970: 1_750_000_000)
    var writes = 0
    var last = FileStatusStamp(agent.path + "/contacts.json")
    for poll in 0..<20_000 {
      try await store.noteContact(
        with: "mock:", at: now, failure: isWell ? nil : BackendError(.unreachable, "no answer at \(now)"))
      now += 30
      // It is written once in ten minutes at most.
      guard poll.isMultiple(of: 10) else { continue }
      let stamp = FileStatusStamp(agent.path + "/contacts.json")
      if stamp != last { writes += 1 }
      last = stamp
    }
    #expect(writes > 100 && writes < 200, "\(writes) writes in a week")
  }

  @Test("News is written at once, but a source that flaps does not wear the flash") func flapping() async throws {
    let store = try await StateStore.open(agent.path)
    var now = Date(timeIntervalSince1970: 1_750_000_000)
    try await store.noteContact(with: "mock:", at: now)
    try await store.noteContact(with: "mock:", at: now + 1, failure: BackendError(.unreachable, "no answer"))
    #expect(try await StoreStatus.read(agent.path).sources["mock:"]?.lastError?.code == .unreachable)
    var writes = 0
    var last = FileStatusStamp(agent.path + "/contacts.json")
    for poll in 0..<2_880 {
      now += 30
      try await store.noteContact(
        with: "mock:", at: now, failure: poll.isMultiple(of: 2) ? nil : BackendError(.timeout, "no answer"))
      let stamp = FileStatusStamp(agent.path + "/contacts.json")
      if stamp != last { writes += 1 }
      last = stamp
    }
    #expect(writes <= 24 * 6 + 6, "\(writes) writes in a day")
  }
}

/// Tells whether a file was replaced.
private struct FileStatusStamp: Equatable {
  private let inode: UInt64?
  private let time: Date?

  init(_ path: String) {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    inode = (attributes?[.systemFileNumber] as? NSNumber)?.uint64Value
    time = attributes?[.modificationDate] as? Date
  }
}
