import DesiredStateSupport
import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@testable import DesiredState

/// Applies: one at a time, at the right time, and on trial.
@Suite("Applying", .timeLimit(.minutes(5)))
struct ApplyTests {
  let agent = Agent()
  let backend = MockBackend()

  /// A handler that works until a test lets it go, and counts how many work at once.
  private final class SlowHandler: Sendable {
    struct State {
      var begun: [UInt64] = []
      var running = 0
      var atOnce = 0
    }
    let state = LockedValue(State())
    let gate = AsyncSignal()

    func apply(_ update: Update) async throws {
      state.withLock { state in
        state.begun.append(update.version ?? 0)
        state.running += 1
        state.atOnce = max(state.atOnce, state.running)
      }
      await gate.wait()
      state.withLock { $0.running -= 1 }
      try Task.checkCancellation()
    }

    var begun: [UInt64] { state.withLock { $0.begun } }
  }

  @Test("However many ask, one poll and one apply run at a time, and each caller gets a poll of its own time")
  func oneAtATime() async throws {
    backend.publish(["a": "1"])
    let handler = SlowHandler()
    let reconciler = try await agent.loop([backend], policy: backend.policy, apply: handler.apply)
    let loop = Task { await reconciler.run() }
    try await wait { handler.begun == [1] }
    let callers = (0..<20).map { _ in Task { try await reconciler.runOnce() } }
    // While the agent is at work, polls go on: a new version is adopted.
    backend.publish(["a": "2"])
    let late = Task { try await reconciler.runOnce() }
    try await wait { agent.count("adopted") == 2 }
    #expect(handler.begun == [1])
    let gate = Task {
      while !Task.isCancelled {
        handler.gate.ring()
        await Task.yield()
      }
    }
    #expect(try await late.value.word == "current")
    #expect(await reconciler.store.applied?.version == 2)
    for caller in callers { #expect(try await caller.value.word == "current") }
    gate.cancel()
    #expect(handler.state.withLock { $0.atOnce } == 1)
    #expect(handler.begun == [1, 2])
    loop.cancel()
    await loop.value
  }

  @Test("Something newer cancels the apply where that is wanted; what it left behind is removed, with its bytes")
  func superseded() async throws {
    backend.publish(["a": "1"])
    let handler = SlowHandler()
    let reconciler = try await agent.loop([backend], policy: backend.policy) {
      $0.supersedesApplies = true
    } apply: {
      [agent] update in
      if update.version == 2 { return try await handler.apply(update) }
      agent.updates.withLock { $0.append(update) }
    }
    #expect(try await reconciler.runOnce().word == "current")
    backend.publish(["a": "1", "b": "of two"])
    let loop = Task { await reconciler.run() }
    try await wait { handler.begun == [2] }
    backend.publish(["a": "1", "c": "3"])
    try await wait { agent.updates.withLock { $0.last?.version == 3 } }
    let update = try #require(agent.updates.withLock { $0.last })
    #expect(update.removed.map(\.id) == ["b"])
    #expect(try await update.removed.first?.contents() == Array("of two".utf8))
    #expect(update.added.map(\.id) == ["c"])
    #expect(agent.count("superseded") == 1)
    #expect(agent.count("apply-failed") == 0)
    loop.cancel()
    await loop.value
  }

  @Test("An apply that fails is tried again less and less often, also after a restart") func backoff() async throws {
    let backend = MockBackend(capabilities: [])
    backend.publish(["a": "1"])
    agent.fault.withLock { $0 = BackendError(.busy, "no room") }
    var reconciler = try await agent.loop([backend], policy: backend.policy)
    _ = try await reconciler.applies.run(reconciler.applyPending)
    _ = try await reconciler.polls.run(reconciler.poll)
    func attempt() async throws -> Bool {
      if case .failed = try await reconciler.applies.run(reconciler.applyPending) { true } else { false }
    }
    #expect(try await attempt())
    #expect(try await !attempt())
    agent.clock.advance(by: .seconds(60))
    #expect(try await attempt())
    agent.clock.advance(by: .seconds(60))
    #expect(try await !attempt())
    await reconciler.store.close()
    reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await !attempt(), "a restart is no reason to hurry")
    agent.clock.advance(by: .seconds(60))
    #expect(try await attempt())
    #expect(await reconciler.store.attempt?.failures == 3)
    // Something newer is a reason.
    backend.publish(["a": "2"])
    _ = try await reconciler.polls.run(reconciler.poll)
    #expect(try await attempt())
  }

  @Test("A state that does not pass its trial gives way to the one before, and is not tried again until a newer comes")
  func trial() async throws {
    backend.publish(["a": "good"])
    let isBad = LockedValue(false)
    let checks = LockedValue(0)
    func loop() async throws -> Reconciler {
      try await agent.loop([backend], policy: backend.policy) {
        $0.trial = .init(.seconds(600)) { _ in
          checks.withLock { $0 += 1 }
          if isBad.withLock({ $0 }) { throw BackendError(.serverError, "the press stands still") }
        }
      }
    }
    var reconciler = try await loop()
    func runOnce() async throws -> String {
      let isDone = LockedValue(false)
      let current = reconciler
      async let time: Void = agent.pump { isDone.withLock { $0 } }
      let word = try await current.runOnce().word
      isDone.withLock { $0 = true }
      try await time
      return word
    }
    #expect(try await runOnce() == "current")
    #expect(agent.count("proven") == 1)
    #expect(checks.withLock { $0 } >= 10)
    backend.publish(["a": "bad", "b": "new"])
    isBad.withLock { $0 = true }
    #expect(try await runOnce() == "apply failed")
    #expect(agent.updates.withLock { $0.map(\.version) } == [1, 2, 1])
    #expect(agent.updates.withLock { $0.last?.removed.map(\.id) } == ["b"])
    #expect(agent.count("rolled-back") == 1)
    guard case .failed(let left)? = backend.acknowledgements.last?.outcome else {
      Issue.record("the orchestrator was not told: \(backend.acknowledgements)")
      return
    }
    #expect(left.version == 2 && left.code == "trial-failed" && left.reason.contains("stands still"))
    #expect(backend.acknowledgements.last?.adoptedManifestVersion == 1)
    // Neither a poll nor a restart tries it again.
    #expect(try await runOnce() == "current")
    await reconciler.store.close()
    reconciler = try await loop()
    #expect(try await runOnce() == "current")
    #expect(agent.updates.withLock { $0.count } == 3)
    #expect(await reconciler.store.floor?.version == 2)
    backend.publish(["a": "better"])
    isBad.withLock { $0 = false }
    #expect(try await runOnce() == "current")
    #expect(await reconciler.store.applied?.version == 3)
    #expect(agent.count("proven") == 2)
  }

  @Test("Going back is what an operator says; polls leave it so until something newer comes, or resume") func rollback()
    async throws
  {
    for text in ["1", "2"] {
      backend.publish(["a": text])
      #expect(try await agent.cycle([backend], policy: backend.policy).word == "current")
    }
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    try await reconciler.rollBack()
    #expect(try await reconciler.runOnce().word == "current")
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.applied?.version == 1)
    #expect(await reconciler.store.floor?.version == 2)
    guard case .rolledBack(let left)? = backend.acknowledgements.last?.outcome else {
      Issue.record("the orchestrator was not told: \(backend.acknowledgements)")
      return
    }
    #expect(left.version == 2 && left.code == "operator")
    try await reconciler.resume()
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.applied?.version == 2)
    try await reconciler.rollBack(to: 1)
    backend.publish(["a": "3"])
    #expect(try await reconciler.runOnce().word == "current")
    #expect(await reconciler.store.applied?.version == 3)
    await #expect { try await reconciler.rollBack(to: 77) } throws: { ($0 as? StoreError)?.code == .notKept }
  }

  @Test("What a failed apply left behind is undone also on the way back to the state that was applied before it")
  func backAfterFailure() async throws {
    backend.publish(["a": "1", "b": "1"])
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    #expect(try await reconciler.runOnce().word == "current")
    struct HalfWay: Error {}
    for documents in [["a": "2", "c": "2"], ["a": "3"]] {
      backend.publish(documents)
      agent.fault.withLock { $0 = HalfWay() }
      #expect(try await reconciler.runOnce().word == "apply failed")
    }
    try await reconciler.rollBack(to: 1)
    // Neither a failure on the way nor a restart makes it count as done.
    #expect(try await reconciler.runOnce().word == "apply failed")
    await reconciler.store.close()
    agent.fault.withLock { $0 = nil }
    let next = try await agent.loop([backend], policy: backend.policy)
    #expect(await !next.store.isInPlace)
    #expect(try await next.runOnce().word == "current")
    let update = try #require(agent.updates.withLock { $0.last })
    #expect(update.version == 1)
    #expect(update.modified.map(\.id) == ["a", "b"] && update.added.isEmpty && update.removed.map(\.id) == ["c"])
    #expect(await next.store.isInPlace)
    #expect(try await next.runOnce().word == "current")
    #expect(agent.updates.withLock { $0.count } == 2)
  }

  @Test("A held state is adopted and waits for approval, each new one anew") func hold() async throws {
    backend.publish(["a": "1"])
    let reconciler = try await agent.loop([backend], policy: backend.policy, schedule: Schedule(holdsUpdates: true))
    #expect(try await reconciler.runOnce().word == "held approval")
    #expect(try await reconciler.runOnce().word == "held approval")
    #expect(agent.count("held") == 1)
    try await reconciler.approve()
    #expect(try await reconciler.runOnce().word == "current")
    backend.publish(["a": "2"])
    #expect(try await reconciler.runOnce().word == "held approval")
    #expect(await reconciler.store.applied?.version == 1)
  }

  @Test("What is adopted by day is applied at night; sources are polled all the time") func applyHours() async throws {
    let backend = MockBackend(capabilities: [])
    backend.publish(["a": "1"])
    // The clock starts at midnight UTC.
    agent.clock.advance(by: .seconds(12 * 3600))
    let schedule = Schedule(interval: .seconds(600), jitter: 0, applyHours: try WeeklyHours("22:00-04:00"))
    let reconciler = try await agent.loop([backend], policy: backend.policy, schedule: schedule)
    let loop = Task { await reconciler.run() }
    try await wait { agent.count("held") == 1 }
    try await agent.pump { agent.clock.now.offset >= .seconds(21 * 3600 + 1800) }
    #expect(agent.count("applied") == 0)
    #expect(agent.count("held") == 1)
    #expect(backend.counts.fetches > 5)
    try await agent.pump { agent.count("applied") > 0 || agent.clock.now.offset > .seconds(24 * 3600) }
    #expect(agent.count("applied") == 1)
    #expect(agent.clock.now.offset >= .seconds(22 * 3600))
    loop.cancel()
    await loop.value
  }

  @Test("Outside its hours, and in a downtime, nothing is contacted and nothing is said") func hours() async throws {
    let backend = MockBackend()
    backend.publish(["a": "1"])
    agent.clock.advance(by: .seconds(12 * 3600))
    let schedule = Schedule(
      interval: .seconds(60), jitter: 0, hours: try WeeklyHours("22:00-04:00"), downtime: try WeeklyHours("23:00-23:30")
    )
    let reconciler = try await agent.loop([backend], policy: backend.policy, schedule: schedule)
    #expect(try await reconciler.runOnce().word == "resting")
    try await agent.pass(.seconds(9 * 3600), reconciler)
    #expect(backend.counts.fetches == 0)
    #expect(Set(agent.names) == ["waiting"])
    try await agent.pass(.seconds(3 * 3600), reconciler)
    let seen = backend.counts
    // Two hours less half an hour, a poll a minute.
    #expect((85...95).contains(seen.fetches), "\(seen.fetches)")
  }

  @Test("Events are a sequence as well, and a slow reader holds up nothing") func eventSequence() async throws {
    backend.publish(["a": "1"])
    let reconciler = try await agent.loop([backend], policy: backend.policy)
    let (all, few) = (reconciler.events(), reconciler.events(bufferingNewest: 2))
    _ = try await reconciler.runOnce()
    var names: [String] = []
    for await event in all {
      names.append(event.name)
      if event.name == "acknowledged" { break }
    }
    #expect(names == ["fetched", "verified", "adopted", "applied", "acknowledged"])
    var last: [String] = []
    for await event in few {
      last.append(event.name)
      if last.count == 2 { break }
    }
    #expect(last == ["applied", "acknowledged"])
  }
}
