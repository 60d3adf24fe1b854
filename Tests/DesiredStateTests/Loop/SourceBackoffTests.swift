import DesiredStateTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DesiredState

/// Sources, recipients and applies that fail are left in peace, and those who know better are heard.
@Suite("The loop backs off", .timeLimit(.minutes(5)))
struct SourceBackoffTests {
  let agent = Agent()
  let backend = MockBackend(capabilities: [.hintsAtChanges])

  @Test("A source that fails is asked less and less often, and said to fail once") func backoff() async throws {
    backend.fail(.fetch, with: BackendError(.unreachable, "gone"))
    let log = LogRecord()
    let reconciler = try await agent.loop([backend], policy: backend.policy, log: log)
    try await agent.pass(.seconds(86_400), reconciler)
    // 30, 60, 120, 240 and then 300 seconds each: about 290 in a day, and not 2,880.
    #expect((250...330).contains(backend.counts.fetches), "\(backend.counts.fetches)")
    #expect(log.count(of: "unavailable") == 1)
    #expect(log.count(of: " ") <= 2)
  }

  @Test("Waits that a source asks for and wants to grow are doubled, across restarts too") func growing() async throws {
    var error = BackendError(.serverError, "later", retryAfter: .seconds(10))
    error.doublesRetryAfter = true
    backend.fail(.fetch, with: error)
    var waits: [Double] = []
    for _ in 1...7 {
      // As after a restart, each time.
      let reconciler = try await agent.reconciler([backend], policy: backend.policy)
      #expect(try await reconciler.runOnce().word == "unavailable server-error")
      let backoff = try #require(await reconciler.store.health.sources[backend.source]?.backoff)
      waits.append(backoff.until.timeIntervalSince(backoff.since))
      await reconciler.store.close()
      agent.clock.advance(by: .seconds(waits.last!))
    }
    // Up to the schedule's own longest wait.
    #expect(waits == [10, 20, 40, 80, 160, 300, 300])
    #expect(backend.counts.fetches == 7)
  }

  @Test("What only a person can mend is tried about once an hour") func person() async throws {
    backend.fail(.fetch, with: BackendError(.unauthorized, "the token is not accepted; give another"))
    let log = LogRecord()
    let reconciler = try await agent.loop([backend], policy: backend.policy, log: log)
    try await agent.pass(.seconds(86_400), reconciler)
    #expect((20...36).contains(backend.counts.fetches), "\(backend.counts.fetches)")
    #expect(log.count(of: "token") == 1)
  }

  @Test("While the first source fails, the second stands in; the first is back as soon as it answers") func failover()
    async throws
  {
    let spare = MockBackend(source: "mock:spare", capabilities: [], signers: backend.signers)
    backend.publish(["a": "1"], version: 1)
    spare.publish(["a": "1"], version: 1)
    backend.fail(.fetch, with: BackendError(.unreachable, "gone"))
    let reconciler = try await agent.loop([backend, spare], policy: backend.policy)
    try await agent.pass(.seconds(3600), reconciler)
    #expect(spare.counts.fetches > 100)
    #expect(backend.counts.fetches < 20)
    backend.recover()
    let before = spare.counts.fetches
    try await agent.pass(.seconds(3600), reconciler)
    #expect(spare.counts.fetches - before <= 12)
    #expect(backend.counts.fetches > 100)
  }

  @Test("A stale first mirror masks nothing when the newest state counts") func newest() async throws {
    let spare = MockBackend(source: "mock:spare", capabilities: [], signers: backend.signers)
    backend.publish(["a": "1"], version: 1)
    spare.publish(["a": "2"], version: 2)
    let reconciler = try await agent.loop([backend, spare], policy: backend.policy) { $0.preference = .newest }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.adopted?.version == 2)
    #expect(agent.count("adopted") == 1)
    #expect(agent.updates.withLock { $0.map(\.version) } == [2])
    // The one that is behind stays so, and is said to be refused; the device is where it should be.
    #expect(try await reconciler.runOnce().word == "current")
    spare.becomeUnreachable()
    #expect(try await reconciler.runOnce().word == "rejected version-rollback")
    spare.recover()
    backend.publish(["a": "3"], version: 3)
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.adopted?.version == 3)
  }

  @Test("Newest: what cannot be brought whole gives way to the next best") func newestTorn() async throws {
    let spare = MockBackend(source: "mock:spare", capabilities: [], signers: backend.signers)
    backend.publish(["a": "1"], version: 1)
    spare.publish(["a": "2"], version: 2)
    spare.corrupt(.document("a"))
    let reconciler = try await agent.loop([backend, spare], policy: backend.policy) { $0.preference = .newest }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.adopted?.version == 1)
  }

  @Test("What a source asked for outlives a restart; what it said meanwhile stands") func restart() async throws {
    backend.fail(.fetch, with: BackendError(.rateLimited, "later", retryAfter: .seconds(600)))
    var reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "unavailable rate-limited")
    await reconciler.store.close()
    backend.recover()
    backend.publish(["a": "1"])
    agent.clock.advance(by: .seconds(599))
    reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "unavailable rate-limited")
    #expect(backend.counts.fetches == 1)
    agent.clock.advance(by: .seconds(1))
    #expect(try await reconciler.runOnce().word == "current")
    await reconciler.store.close()
  }

  @Test("Hints beyond the bound are one poll, later") func hints() async throws {
    backend.publish(["a": "1"])
    let reconciler = try await agent.loop(
      [backend], policy: backend.policy, schedule: Schedule(interval: .seconds(3600), jitter: 0))
    let loop = Task { await reconciler.run() }
    try await wait { agent.count("waiting") == 1 && agent.clock.sleeperCount == 1 }
    for _ in 0..<1000 {
      backend.hint()
      await Task.yield()
    }
    try await wait { agent.count("waiting") == 2 }
    for _ in 0..<1000 {
      backend.hint()
      await Task.yield()
    }
    // The second one waits for its second to pass.
    try await wait { agent.clock.nextWakeUp.map { $0.offset <= .seconds(1) } ?? false }
    #expect(backend.counts.fetches == 2)
    agent.clock.advance(by: .seconds(1))
    try await wait { agent.count("waiting") == 3 }
    #expect(backend.counts.fetches == 3)
    loop.cancel()
    await loop.value
  }

  @Test("A server that is gone costs one try, and what waits leaves on the stick") func stick() async throws {
    let server = MockBackend(source: "mock:server")
    server.becomeUnreachable()
    let stick = MockBackend(source: "mock:stick", signers: server.signers)
    stick.publish(["a": "1", "b": "1", "c": "1"])
    let reconciler = try await agent.loop([server, stick], policy: stick.policy) { _ in
    } apply: { update in
      try await update.report(update.documents.map { DocumentStatus(documentID: $0.id, state: .installed) })
    }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(stick.acknowledgements.count == 4)
    #expect(server.counts.acknowledgeCalls <= 2, "once for the reports, once for the rest")
    #expect(try await StoreStatus.read(agent.path).waiting == 0)
  }

  @Test("Refused deliveries back off as well") func deliveries() async throws {
    let backend = MockBackend(capabilities: [.acknowledges])
    backend.publish(["a": "1"])
    backend.fail(.acknowledge, with: BackendError(.serverError, "no"))
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    let loop = Task { await reconciler.run() }
    try await agent.pump { agent.clock.now.offset > .seconds(7200) }
    loop.cancel()
    await loop.value
    #expect((5..<40).contains(backend.counts.acknowledgeCalls), "\(backend.counts.acknowledgeCalls)")
  }

  @Test("An acknowledgement that is refused for good is given up, visibly; others go on, and a reset says it again")
  func refusedForGood() async throws {
    let backend = MockBackend(capabilities: [.acknowledges])
    backend.publish(["a": "1"])
    backend.fail(.acknowledge, with: BackendError(.protocolViolation, "no such thing", isRetryable: false))
    let log = LogRecord()
    let reconciler = try await agent.loop([backend], policy: backend.policy, log: log) { _ in
    } apply: { update in
      try await update.report(update.documents.map { DocumentStatus(documentID: $0.id, state: .installed) })
    }
    for _ in 0..<3 { #expect(try await reconciler.runOnce().word == "current") }
    #expect(backend.counts.acknowledgeCalls == 2, "one of the state, one of its document, each once")
    #expect(agent.count("acknowledgement-refused") == 2)
    #expect(log.count(of: "given up") == 2)
    var status = try await StoreStatus.read(agent.path)
    #expect(status.waiting == 0 && status.refusedAcknowledgements.count == 2)
    #expect(status.refusedAcknowledgements.first?.failure.message == "no such thing")
    backend.recover()
    _ = try await reconciler.store.perform(.reset(.init(refusals: true)), at: agent.clock.date)
    #expect(try await reconciler.runOnce().word == "current")
    #expect(backend.status(of: "a")?.state == .installed)
    status = try await StoreStatus.read(agent.path)
    #expect(status.waiting == 0 && status.refusedAcknowledgements.isEmpty)
  }

  @Test("Bad credentials for acknowledgements are no refusal: they wait for a person") func credentials() async throws {
    let backend = MockBackend(capabilities: [.acknowledges])
    backend.publish(["a": "1"])
    backend.fail(.acknowledge, with: BackendError(.forbidden, "no"))
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "current")
    #expect(try await StoreStatus.read(agent.path).waiting == 1)
    backend.recover()
    #expect(try await reconciler.runOnce().word == "current")
    #expect(try await StoreStatus.read(agent.path).waiting == 0)
  }

  @Test("Refused by one recipient for good and not reached by another: it waits for that one") func refusedByOne()
    async throws
  {
    backend.publish(["a": "1"])
    let (picky, away) = (MockBackend(source: "mock:picky"), MockBackend(source: "mock:away"))
    picky.fail(.acknowledge, with: BackendError(.protocolViolation, "no", isRetryable: false))
    away.becomeUnreachable()
    let reconciler = try await agent.loop([backend], policy: backend.policy, recipients: [picky, away])
    #expect(try await reconciler.runOnce().word == "current")
    #expect(try await StoreStatus.read(agent.path).waiting == 1)
    away.recover()
    #expect(try await reconciler.runOnce().word == "current")
    #expect(away.acknowledgements.count == 1)
  }

  @Test("A refused manifest is not fetched again at each poll, and a mended one is adopted at the next") func refused()
    async throws
  {
    backend.publish(["a": "1"])
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "current")
    backend.publish(
      TestPublication(version: 2, documents: ["a": [50]], signers: [TestSigner("stranger@elsewhere.example")]))
    let before = backend.counts
    try await agent.pass(.seconds(7200), reconciler)
    #expect(backend.counts.fetches - before.fetches > 200)
    #expect(backend.counts.manifestReads - before.manifestReads <= 20, "\(backend.counts)")
    #expect(agent.count("fetched") <= 21)
    backend.publish(["a": "3"], version: 3)
    try await agent.pass(.seconds(35), reconciler)
    #expect(await reconciler.store.applied?.version == 3)
  }

  @Test("A document that stays wrong is no reason to fetch the manifest again at each poll") func spoiled() async throws
  {
    let large = String(repeating: "large", count: 1000)
    backend.publish(["a": large])
    backend.corrupt(.document("a"))
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    try await agent.pass(.seconds(7200), reconciler)
    #expect(backend.counts.manifestReads <= 20, "\(backend.counts)")
    backend.repair(.document("a"))
    try await agent.pass(.seconds(700), reconciler)
    #expect(await reconciler.store.applied?.version == 1)
  }

  @Test("A manifest without end is read less and less often") func endless() async throws {
    backend.publish(["a": "1"])
    try backend.makeEndless(.manifest)
    let reconciler = try await agent.loop([backend], policy: backend.policy) { $0.limits.manifestSize = 1 << 16 }
    try await agent.pass(.seconds(86_400), reconciler)
    #expect(backend.counts.fetches < 330, "\(backend.counts.fetches)")
  }

  @Test("Two sources refused for different reasons write once each, and are said once each, however long it lasts")
  func flipping() async throws {
    let spare = MockBackend(source: "mock:spare", signers: backend.signers)
    backend.publish(["a": "1"])
    let log = LogRecord()
    let reconciler = try await agent.loop([backend, spare], policy: backend.policy, log: log)
    #expect(try await reconciler.runOnce().word == "current")
    backend.publish(["a": "1"], version: 2, device: "another")
    spare.publish(TestPublication(version: 9, documents: [:], signers: [TestSigner("stranger@elsewhere.example")]))
    try await agent.pass(.seconds(60), reconciler)
    let record = try FileManager.default.attributesOfItem(atPath: agent.path + "/state.json")[.systemFileNumber] as? Int
    let acknowledged = spare.counts.acknowledgeCalls
    try await agent.pass(.seconds(7200), reconciler)
    // Each write makes a new file.
    let after = try FileManager.default.attributesOfItem(atPath: agent.path + "/state.json")[.systemFileNumber] as? Int
    #expect(record != nil && record == after)
    #expect(spare.counts.acknowledgeCalls == acknowledged)
    #expect(log.count(of: "refused:") == 2)
    #expect(try await StoreStatus.read(agent.path).refused.count == 2)
  }
}
