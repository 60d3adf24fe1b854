import DesiredStateTesting
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DesiredState

/// Sources, recipients and applies that fail are left in peace, and those who know better are heard.
@Suite("The loop's patience", .timeLimit(.minutes(1)))
struct PatienceTests {
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

  @Test("Hints beyond the bound are one look, later") func hints() async throws {
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
}
