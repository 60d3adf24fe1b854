import DesiredState
import DesiredStateTesting
import Foundation
import Synchronization
import TestSupport
import Testing

extension Reconciler.Outcome {
  var word: String {
    switch self {
    case .current: "current"
    case .absent: "absent"
    case .rejected(let error): "rejected \(error.code)"
    case .unavailable(let error): "unavailable \(error.code)"
    case .applyFailed: "apply failed"
    case .held(let hold): "held \(hold.code)"
    case .resting: "resting"
    }
  }
}

@Suite("The loop", .timeLimit(.minutes(5)))
struct ReconcilerTests {
  let agent = Agent()
  let backend = MockBackend()

  private func cycle(_ sources: [any DesiredStateBackend]? = nil) async throws -> String {
    try await agent.cycle(sources ?? [backend], policy: backend.policy).word
  }

  @Test("The agent gets what is added, modified and removed since the state it applied last") func differences()
    async throws
  {
    backend.publish(["a": "1", "b": "1", "c": "1"])
    #expect(try await cycle() == "current")
    backend.publish(["a": "1", "b": "2", "d": "1"])
    #expect(try await cycle() == "current")
    let update = try #require(agent.updates.withLock { $0.last })
    #expect(update.added.map(\.id) == ["d"])
    #expect(update.modified.map(\.id) == ["b"])
    #expect(update.removed.map(\.id) == ["c"])
    #expect(update.documents.count == 3)
    #expect(try await update.modified[0].contents() == Array("2".utf8))
  }

  @Test("What the handler failed at comes again, after a restart and without a network, with the same differences")
  func applyAgain() async throws {
    backend.publish(["a": "1"])
    #expect(try await cycle() == "current")
    backend.publish(["a": "2", "b": "1"])
    agent.fault.withLock { $0 = BackendError(.busy, "no room") }
    #expect(try await cycle() == "apply failed")
    let status = try await StoreStatus.read(agent.path)
    #expect(status.adopted?.version == 2)
    #expect(status.applied?.version == 1)
    backend.becomeUnreachable()
    agent.fault.withLock { $0 = nil }
    #expect(try await cycle() == "unavailable unreachable")
    let update = try #require(agent.updates.withLock { $0.last })
    #expect(update.added.map(\.id) == ["b"])
    #expect(update.modified.map(\.id) == ["a"])
    #expect(try await StoreStatus.read(agent.path).applied?.version == 2)
  }

  @Test("The first source that has a state decides; the others stand in for it, under one version floor")
  func severalSources() async throws {
    let spare = MockBackend(source: "mock:spare", signers: backend.signers)
    backend.publish(["a": "5"], version: 5)
    spare.publish(["a": "6"], version: 6)
    #expect(try await cycle([backend, spare]) == "current")
    #expect(try await StoreStatus.read(agent.path).adopted?.version == 5)
    backend.becomeUnreachable()
    #expect(try await cycle([backend, spare]) == "current")
    #expect(try await StoreStatus.read(agent.path).adopted?.version == 6)
    backend.recover()
    // Behind now: refused, and the other one says that the device is where it should be.
    #expect(try await cycle([backend, spare]) == "current")
    #expect(try await StoreStatus.read(agent.path).adopted?.version == 6)
    spare.publishNothing()
    #expect(try await cycle([backend, spare]) == "rejected version-rollback")
  }

  @Test("A source that never answers is given up when its time is over") func silentSource() async throws {
    backend.publish(["a": "1"])
    backend.stall(.fetch)
    let reconciler = try await agent.reconciler([backend], policy: backend.policy)
    async let outcome = reconciler.runOnce()
    try await backend.waitForStalled()
    agent.clock.advance(by: .seconds(30))
    #expect(try await outcome.word == "unavailable timeout")
  }

  @Test("A document that stops arriving is given up when its time is over") func stalledDocument() async throws {
    backend.publish(["a": "1"])
    backend.stall(.read)
    let reconciler = try await agent.reconciler([backend], policy: backend.policy)
    async let outcome = reconciler.runOnce()
    try await backend.waitForStalled()
    // Time goes on until the stall is noticed; how many alarms are set on the way is not the test's business.
    let time = Task {
      while !Task.isCancelled {
        agent.clock.advanceToNextWakeUp()
        await Task.yield()
      }
    }
    #expect(try await outcome.word == "unavailable timeout")
    time.cancel()
  }

  @Test("A backend's own kind of error is trouble with the source, and its text is not repeated") func foreignError()
    async throws
  {
    struct VendorError: Error, CustomStringConvertible { let description = "token hunter2 refused" }
    backend.fail(.fetch, with: VendorError())
    #expect(try await cycle() == "unavailable protocol-violation")
    let status = try await StoreStatus.read(agent.path)
    #expect(!"\(status)".contains("hunter2"))
  }

  @Test("What the agent failed at is asked of it once in a poll, unless the poll brings something new")
  func failedApply() async throws {
    backend.publish(["a": "1"])
    agent.fault.withLock { $0 = BackendError(.busy, "no room") }
    let reconciler = try await agent.reconciler([backend], policy: backend.policy)
    func failures() -> Int {
      agent.events.withLock { $0.filter { if case .applyFailed = $0.kind { true } else { false } }.count }
    }
    #expect(try await reconciler.runOnce().word == "apply failed")
    #expect(failures() == 1)
    #expect(try await reconciler.runOnce().word == "apply failed")
    #expect(failures() == 2)
    backend.publish(["a": "2"])
    #expect(try await reconciler.runOnce().word == "apply failed")
    #expect(failures() == 4)
  }

  @Test("What the agent reports reaches the orchestrator while the agent is still at work") func earlyReports()
    async throws
  {
    backend.publish(["a": "1"])
    let reconciler = Reconciler(
      sources: [backend], store: try await StateStore.open(agent.path),
      configuration: .init(policy: backend.policy, device: "press-42", clock: agent.clock)
    ) { [backend] update in
      try await update.report(DocumentStatus(documentID: "a", state: .installing))
      while backend.status(of: "a")?.state != .installing {
        try Task.checkCancellation()
        await Task.yield()
      }
      try await update.report(DocumentStatus(documentID: "a", state: .installed))
    }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(backend.status(of: "a")?.state == .installed)
  }

  @Test("A source that asks for patience gets it, whether it answered or not; what it said stands meanwhile")
  func patience() async throws {
    let spare = MockBackend(source: "mock:spare", signers: backend.signers)
    spare.publish(["a": "0"], version: 1)
    backend.publish(["a": "1"], version: 2)
    backend.askForPatience(.seconds(60))
    let reconciler = try await agent.reconciler([backend, spare], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "current")
    agent.clock.advance(by: .seconds(59))
    #expect(try await reconciler.runOnce().word == "current")
    #expect(backend.counts.fetches == 1)
    #expect(spare.counts.fetches == 0)
    agent.clock.advance(by: .seconds(1))
    backend.askForPatience(nil)
    backend.becomeUnreachable(retryAfter: .seconds(60))
    #expect(try await reconciler.runOnce().word == "rejected version-rollback")
    #expect(backend.counts.fetches == 2)
    #expect(try await reconciler.runOnce().word == "rejected version-rollback")
    #expect(backend.counts.fetches == 2)
    // A clock that is set back does not keep the source waiting.
    agent.clock.date -= 3600
    backend.recover()
    #expect(try await reconciler.runOnce().word == "current")
    #expect(backend.counts.fetches == 3)
  }

  @Test("A handler that throws a cancellation of its own does not end the loop") func cancelledHandler() async throws {
    backend.publish(["a": "1"])
    agent.fault.withLock { $0 = CancellationError() }
    #expect(try await cycle() == "apply failed")
  }

  @Test("The loop looks at every interval, and at once when it is hinted at") func schedule() async throws {
    backend.publish(["a": "1"])
    let reconciler = try await agent.reconciler([backend], policy: backend.policy, interval: .seconds(100), jitter: 0.1)
    let loop = Task { await reconciler.run() }
    // Deliveries do not wait for polls: the clock must not run on while one is under way.
    try await wait { backend.acknowledgements.count == 2 }
    // The random number is 1: the interval is stretched by all of the jitter.
    try await wait { agent.clock.nextWakeUp.map { $0.offset > .seconds(109) && $0.offset < .seconds(111) } ?? false }
    agent.clock.advance(by: .seconds(109))
    #expect(backend.counts.fetches == 1)
    agent.clock.advance(by: .seconds(2))
    try await wait { backend.counts.fetches == 2 }
    try await wait { agent.clock.nextWakeUp.map { $0.offset > .seconds(219) } ?? false }
    backend.publish(["a": "2"])
    backend.hint()
    try await wait { agent.updates.withLock { $0.count } == 2 }
    loop.cancel()
    await loop.value
  }

  @Test("A cancelled loop ends, wherever it waits", arguments: [MockBackend.Operation.fetch, .read, .acknowledge])
  func cancellation(_ operation: MockBackend.Operation) async throws {
    backend.publish(["a": "1"])
    backend.stall(operation)
    let reconciler = try await agent.reconciler([backend], policy: backend.policy)
    let loop = Task { await reconciler.run() }
    try await backend.waitForStalled()
    loop.cancel()
    await loop.value
  }

  @Test("Acknowledgements outlive a restart, only the newest per document is sent, and each once")
  func acknowledgements()
    async throws
  {
    backend.publish(["a": "1", "b": "1"])
    backend.fail(.acknowledge, with: BackendError(.serverError, "no"))
    #expect(try await cycle() == "current")
    backend.publish(["a": "2"])
    #expect(try await cycle() == "current")
    #expect(try await StoreStatus.read(agent.path).waiting == 3)
    backend.recover()
    #expect(try await cycle() == "current")
    #expect(backend.status(of: "a")?.state == .installed)
    #expect(backend.status(of: "b")?.state == .removed)
    #expect(backend.acknowledgements.count == 3)
    #expect(backend.acknowledgements.allSatisfy { $0.adoptedManifestVersion == 2 && $0.device == "press-42" })
    #expect(try await StoreStatus.read(agent.path).waiting == 0)
  }

  @Test("State can come by one road and acknowledgements go by another") func recipients() async throws {
    let office = MockBackend(source: "mock:office")
    backend.publish(["a": "1"])
    let reconciler = Reconciler(
      sources: [backend], acknowledgingTo: [MockBackend(source: "mock:mute", capabilities: []), office],
      store: try await StateStore.open(agent.path),
      configuration: .init(policy: backend.policy, device: "press-42", clock: agent.clock)
    ) { update in
      try await update.report(DocumentStatus(documentID: "a", state: .installed))
    }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(backend.acknowledgements.isEmpty)
    #expect(office.status(of: "a")?.state == .installed)
    #expect(office.counts.fetches == 0)
  }

  @Test("A source that takes no acknowledgements leaves them waiting") func noAcknowledgements() async throws {
    let silent = MockBackend(capabilities: [])
    silent.publish(["a": "1"])
    #expect(try await agent.cycle([silent], policy: silent.policy).word == "current")
    #expect(try await StoreStatus.read(agent.path).waiting == 2)
  }

  @Test("A refusal is told to the orchestrator once, and over when the source is right again") func refusal()
    async throws
  {
    backend.publish(["a": "1"])
    #expect(try await cycle() == "current")
    backend.publish(["a": "2"])
    backend.corrupt(.document("a"))
    #expect(try await cycle() == "rejected digest-mismatch")
    #expect(try await cycle() == "rejected digest-mismatch")
    let rejections = backend.acknowledgements.filter { if case .rejected = $0.outcome { true } else { false } }
    #expect(rejections.count == 1)
    #expect(rejections.first?.adoptedManifestVersion == 1)
    backend.publish(["a": "3"])
    #expect(try await cycle() == "current")
    #expect(try await StoreStatus.read(agent.path).refused.isEmpty)
  }

  @Test("Documents that are held are not read again") func heldDocuments() async throws {
    backend.publish(["a": "1", "b": "1"])
    _ = try await cycle()
    backend.publish(["a": "1", "b": "2"])
    let before = backend.counts.documentsRead
    _ = try await cycle()
    #expect(backend.counts.documentsRead == before + 1)
  }

  private func wait(until condition: () -> Bool) async throws {
    while !condition() {
      try Task.checkCancellation()
      await Task.yield()
    }
  }
}
