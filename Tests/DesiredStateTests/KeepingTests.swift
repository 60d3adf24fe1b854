import DesiredStateSupport
import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@testable import DesiredState

/// What a store keeps, gives back and throws away.
@Suite("What is kept", .timeLimit(.minutes(5)))
struct KeepingTests {
  let agent = Agent()
  let backend = MockBackend()

  private func cycle() async throws -> String { try await agent.cycle([backend], policy: backend.policy).word }

  private func adopt(_ documents: [String: String]) async throws {
    backend.publish(documents)
    #expect(try await cycle() == "current")
  }

  private var blobs: Set<String> {
    get throws { Set(try FileManager.default.contentsOfDirectory(atPath: agent.path + "/blobs")) }
  }

  private func path(of text: String) -> String { agent.path + "/blobs/" + Digest.of(text.utf8).fileName }

  @Test("What a failed and superseded state brought is removed by the next one, and can be read for that")
  func touched() async throws {
    let removed = LockedValue<[String: String]>([:])
    let reconciler = Reconciler(
      sources: [backend], store: try await StateStore.open(agent.path),
      configuration: .init(
        policy: backend.policy, device: "press-42", clock: agent.clock, now: { [agent] in agent.clock.date })
    ) { update in
      if update.version == 2 || update.version == 3 { throw BackendError(.busy, "no room") }
      for document in update.removed {
        let text = String(decoding: try await document.contents(), as: UTF8.self)
        removed.withLock { $0[document.id] = text }
      }
    }
    backend.publish(["a": "1"])
    #expect(try await reconciler.runOnce().word == "current")
    for (document, version) in [("b", 2), ("c", 3)] {
      backend.publish(["a": "1", document: "brought by version \(version)"])
      #expect(try await reconciler.runOnce().word == "apply failed")
    }
    backend.publish(["a": "1"])
    #expect(try await reconciler.runOnce().word == "current")
    #expect(removed.withLock { $0 } == ["b": "brought by version 2", "c": "brought by version 3"])
  }

  @Test("What an unfinished apply changed or took away is put right by the next, and by its second try as well")
  func halfWay() async throws {
    let plant = LockedValue<[String: String]>([:])
    let breaksOff = LockedValue(false)
    let reconciler = Reconciler(
      sources: [backend], store: try await StateStore.open(agent.path),
      configuration: .init(
        policy: backend.policy, device: "press-42", clock: agent.clock, now: { [agent] in agent.clock.date })
    ) { update in
      for document in update.removed { plant.withLock { $0[document.id] = nil } }
      for document in update.added + update.modified {
        let text = String(decoding: try await document.contents(), as: UTF8.self)
        // The third version breaks off before it has changed anything.
        if update.version == 3, breaksOff.withLock({ $0 }) { throw BackendError(.busy, "no room") }
        plant.withLock { $0[document.id] = text }
      }
      if breaksOff.withLock({ $0 }) { throw BackendError(.busy, "no room") }
    }
    let documents = ["a": "1", "b": "1", "c": "1"]
    backend.publish(documents)
    #expect(try await reconciler.runOnce().word == "current")
    // Takes b away and changes c, all of it, and fails then; the third wants what was there before.
    breaksOff.withLock { $0 = true }
    backend.publish(["a": "1", "c": "2"])
    #expect(try await reconciler.runOnce().word == "apply failed")
    #expect(plant.withLock { $0 } == ["a": "1", "c": "2"])
    backend.publish(documents)
    for _ in 0..<2 { #expect(try await reconciler.runOnce().word == "apply failed") }
    breaksOff.withLock { $0 = false }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(plant.withLock { $0 } == documents)
  }

  @Test("A document of the applied state that goes can still be read") func removedBytes() async throws {
    try await adopt(["a": "1", "b": "two"])
    try await adopt(["a": "1"])
    let update = try #require(agent.updates.withLock { $0.last })
    #expect(update.removed.map(\.id) == ["b"])
    #expect(try await update.removed[0].contents() == Array("two".utf8))
  }

  @Test("Nothing is thrown away while a manifest that decides it cannot be read") func damagedManifest() async throws {
    try await adopt(["a": "1"])
    try await adopt(["a": "2"])
    let store = try await StateStore.open(agent.path)
    let older = try #require(await store.record.kept.last)
    try Data("x".utf8).write(to: URL(fileURLWithPath: agent.path + "/blobs/" + older.digest.fileName))
    let before = try blobs
    await #expect(throws: StoreError.self) { try await store.collectGarbage() }
    #expect(try blobs == before)
  }

  @Test("A document that rotted under an unchanged time is found when it is to be placed again, and fetched again")
  func rot() async throws {
    try await adopt(["a": "good", "b": "1"])
    let file = path(of: "good")
    let time = try #require(
      try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date)
    // In place, as a disk does it: the same file, with the same times to the nanosecond.
    try await Self.shell(
      "cp -p '\(file)' '\(file).times'; chmod u+w '\(file)'; printf evil | dd of='\(file)' conv=notrunc status=none; chmod 444 '\(file)'; touch -r '\(file).times' '\(file)'; rm -f '\(file).times'"
    )
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "evil")
    #expect(try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date == time)
    try await adopt(["a": "good", "b": "2"])
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "good")
    let document = try #require(agent.updates.withLock { $0.last?.documents.first { $0.id == "a" } })
    #expect(try await document.contents() == Array("good".utf8))
  }

  private static func shell(_ script: String) async throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-ec", script]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  @Test("The history tells where each kept state came from and how it went; a device goes back, and forth again")
  func rollback() async throws {
    try await adopt(["a": "1"])
    try await adopt(["a": "2"])
    #expect(try await StoreStatus.read(agent.path).history.map(\.state.version) == [2, 1])
    #expect(try await StoreStatus.read(agent.path).history.map(\.outcome) == [.applied, .applied])
    let done = try await StoreRequest.rollBack(version: nil).perform(onStore: agent.path, at: agent.clock.date)
    #expect(done == .done("the device goes back from version 2 to version 1"))
    var status = try await StoreStatus.read(agent.path)
    #expect(status.adopted?.version == 1 && status.floor?.version == 2)
    #expect(status.rollback?.from.version == 2 && status.rollback?.code == "operator")
    #expect(status.history.map(\.outcome) == [.rolledBack, .applied])
    #expect(status.waiting == 1)
    _ = try await StoreRequest.resume.perform(onStore: agent.path, at: agent.clock.date)
    status = try await StoreStatus.read(agent.path)
    #expect(status.adopted?.version == 2 && status.rollback == nil)
  }

  @Test("What cannot be gone back to is said") func noTarget() async throws {
    try await adopt(["a": "1"])
    for version in [nil, 1, 7] as [UInt64?] {
      await #expect {
        try await StoreRequest.rollBack(version: version).perform(onStore: agent.path, at: agent.clock.date)
      } throws: { ($0 as? StoreError)?.code == .notKept }
    }
  }

  @Test("A reset of the floor lets an older version in, is recorded, and is acknowledged") func reset() async throws {
    backend.publish(["a": "9"], version: 900)
    #expect(try await cycle() == "current")
    backend.publish(["a": "8"], version: 8)
    #expect(try await cycle() == "rejected version-rollback")
    let request = StoreRequest.reset(.init(floor: 8, clock: true, refusals: true))
    _ = try await request.perform(onStore: agent.path, at: agent.clock.date)
    let status = try await StoreStatus.read(agent.path)
    #expect(status.refused.isEmpty && status.resets.count == 1 && status.waiting >= 1)
    #expect(try await cycle() == "current")
    #expect(try await StoreStatus.read(agent.path).adopted?.version == 8)
    #expect(try await StoreStatus.read(agent.path).floor?.version == 8)
  }

  @Test("A request waits for the agent that has the store, and rings for it") func requests() async throws {
    try await adopt(["a": "1"])
    try await adopt(["a": "2"])
    let store = try await StateStore.open(agent.path)
    let hints = try #require(store.requestHints())
    #expect(try await StoreRequest.rollBack(version: nil).perform(onStore: agent.path, at: agent.clock.date) == .left)
    for await _ in hints { break }
    let results = try await store.performRequests(at: agent.clock.date)
    #expect(results.count == 1)
    #expect(await store.adopted?.version == 1)
    #expect(try await store.performRequests(at: agent.clock.date).isEmpty)
  }

  @Test("A mirror that offers state after state with a document missing does not fill the disk")
  func replays() async throws {
    try await adopt(["a": "1"])
    var largest = 0
    for round in 1...5 {
      backend.publish(["big": "\(round)" + String(repeating: "x", count: 100_000), "wrong": "wrong \(round)"])
      backend.corrupt(.document("wrong"))
      #expect(try await cycle() == "rejected digest-mismatch")
      largest = max(largest, try blobs.count)
      backend.recover()
    }
    // What is kept, and what was read of the last state offered.
    #expect(largest <= 4, "\(largest) blobs")
  }

  @Test("A state that the store may not hold is refused before it is read, and a smaller one is adopted next")
  func maximumSize() async throws {
    try await adopt(["a": "small"])
    let store = try await StateStore.open(agent.path, maximumSize: 20_000)
    let reconciler = Reconciler(
      sources: [backend], store: store,
      configuration: .init(
        policy: backend.policy, device: "press-42", clock: agent.clock, now: { [agent] in agent.clock.date })
    ) { _ in }
    backend.publish(["a": String(repeating: "large", count: 10_000)])
    #expect(try await reconciler.runOnce().word == "rejected no-space")
    #expect(await store.refused.map(\.code) == [.noSpace])
    #expect(try FileManager.default.contentsOfDirectory(atPath: agent.path + "/incoming").isEmpty)
    backend.publish(["a": "smaller"])
    #expect(try await reconciler.runOnce().word == "current")
  }
}
