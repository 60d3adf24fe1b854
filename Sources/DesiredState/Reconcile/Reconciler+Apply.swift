import DesiredStateSupport
import FoundationEssentials

/// What came of asking for an apply.
enum ApplyResult: Sendable {
  /// What is adopted is applied. With a time: it is on trial, and the next check is then.
  case settled(again: Duration? = nil)
  case applied
  case failed(any Error)
  /// The applied state failed its trial, and another is the adopted one now.
  case rolledBack(any Error)
  case held(Reconciler.Hold)
  /// It failed before, and is left alone for a while.
  case waiting

  var isFailure: Bool { if case .failed = self { true } else { false } }
  /// Whether a document of the adopted state is damaged, so that a poll must fetch it again.
  var isDamage: Bool {
    if case .failed(let error as StoreError) = self { error.code == .documentDamaged } else { false }
  }
}

/// Putting the adopted state to work: one apply at a time.
extension Reconciler {
  /// Applies the adopted state if it is not the applied one, and it is the time for it.
  func applyPending() async throws -> ApplyResult {
    let (isAskedFor, isCheckDue) = state.withLock { state in
      defer { (state.isApplyAskedFor, state.isCheckDue) = (false, false) }
      return (state.isApplyAskedFor, state.isCheckDue)
    }
    guard let adopted = await store.adopted else { return .settled() }
    var isLost = false
    if let applied = await store.applied, await store.isInPlace {
      isLost = isCheckDue ? await !configuration.isStillApplied(applied) : false
      guard isLost else { return try await tryOut(applied, adopted) }
    }
    // What was applied before, and what an operator or a failed trial went back to, waits for no approval and no hour.
    let isBack = await store.rollback != nil
    if !isLost, !isBack, let hold = await hold(on: adopted) {
      sayHeld(hold, adopted)
      return .held(hold)
    }
    await rememberAttempts(at: adopted)
    guard isAskedFor || state.withLock({ $0.applies.isDue(at: stopwatch.elapsed) }) else { return .waiting }
    return try await apply(adopted, everything: isLost)
  }

  private func apply(_ adopted: AdoptedState, everything: Bool) async throws -> ApplyResult {
    do {
      // A document that is damaged is fetched again by the next poll.
      guard
        let update = try await store.pendingUpdate(
          everything: everything, device: configuration.device,
          keepsChanges: recipients.contains { $0.capabilities.contains(.acknowledgesEachChange) },
          now: configuration.now, didReport: reports.ring)
      else { return .settled() }
      try await store.markApplying(adopted, at: configuration.now())
      try await deliveringReports { try await work(on: update) }
      // What is put back in the middle of its trial goes on with it.
      let trial = await store.trial
      let isOnTrial = !everything || trial?.revision == adopted.revision
      try await store.markApplied(
        adopted, at: configuration.now(), isOnTrial: configuration.trial != nil && isOnTrial)
      state.withLock { $0.applies.succeed() }
      situations.forget("apply")
      log(.notice, "applied", adopted.source, adopted.revision, adopted.version)
      emit(.applied(update), adopted.source, adopted.revision, adopted.version, adopted.origin)
      return .applied
    } catch {
      try Task.checkCancellation()
      let isSuperseded = state.withLock { state in
        defer { state.isSuperseded = false }
        return state.isSuperseded
      }
      if isSuperseded {
        emit(.superseded, adopted.source, adopted.revision, adopted.version, adopted.origin)
        return .applied
      }
      return try await fail(adopted, error)
    }
  }

  private func fail(_ adopted: AdoptedState, _ error: any Error) async throws -> ApplyResult {
    let isDamage = ApplyResult.failed(error).isDamage
    let wait = state.withLock { state in
      if isDamage { state.isDamaged = true }
      state.applies.fail(
        at: stopwatch.elapsed, waiting: configuration.applyBackoff, random: configuration.random())
      return state.applies.notBefore - stopwatch.elapsed
    }
    let now = configuration.now()
    emit(.applyFailed(error), adopted.source, adopted.revision, adopted.version, adopted.origin)
    situations.note("\(error)", of: "apply") {
      log(.error, "applying failed: \(error)", adopted.source, adopted.revision, adopted.version)
    }
    do {
      try await store.applyFailed(
        adopted, reason: Self.reason(error), at: now, notBefore: now.addingTimeInterval(wait.timeInterval))
    } catch {
      // The failure stands, whether it could be written down or not.
      reportTrouble(error, "apply")
    }
    return .failed(error)
  }

  private static func reason(_ error: any Error) -> String {
    guard let error = error as? FileError, error.isNoSpace else { return "\(error)" }
    return "no-space: \(error)"
  }

  /// Runs the agent's handler in a task of its own, which can be cancelled alone.
  private func work(on update: Update) async throws {
    let task = Task { try await apply(update) }
    state.withLock {
      $0.handler = (update.revision, task)
      $0.isSuperseded = false
    }
    let start = stopwatch.elapsed
    defer {
      state.withLock { $0.handler = nil }
      metrics.applied(for: stopwatch.elapsed - start)
    }
    try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  /// Cancels the agent's work on another state, where that is configured or an operator orders it.
  func supersede(by revision: Revision, isOrdered: Bool = false) {
    guard configuration.supersedesApplies || isOrdered else { return }
    state.withLock { state in
      guard let handler = state.handler, handler.revision != revision else { return }
      state.isSuperseded = true
      handler.task.cancel()
    }
  }

  /// Delivers what the agent reports while it works: installing may take an hour, and an orchestrator wants to see it.
  private func deliveringReports(_ work: () async throws -> Void) async throws {
    let delivery = Task {
      while !Task.isCancelled {
        await reports.wait()
        if Task.isCancelled { return }
        _ = try? await deliveries.run(deliver)
      }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await work()) } catch { result = .failure(error) }
    delivery.cancel()
    _ = await delivery.result
    try result.get()
  }

  /// Takes over the record of earlier tries, of this process or the one before.
  private func rememberAttempts(at adopted: AdoptedState) async {
    let attempt = await store.attempt
    let now = configuration.now()
    state.withLock { state in
      guard state.applyRevision != adopted.revision else { return }
      state.applyRevision = adopted.revision
      state.applies = Attempts()
      guard let attempt, attempt.revision == adopted.revision, attempt.failures > 0 else { return }
      var wait = Duration.zero
      if let failed = attempt.failedAt, failed <= now, let notBefore = attempt.notBefore, now < notBefore {
        wait = min(.seconds(notBefore.timeIntervalSince(now)), configuration.applyBackoff.longest)
      }
      state.applies = Attempts(failures: attempt.failures, notBefore: stopwatch.elapsed + wait)
    }
  }

  // MARK: - Waiting for leave

  private func hold(on adopted: AdoptedState) async -> Hold? {
    if configuration.schedule.holdsUpdates, await store.approved != adopted.revision { return .approval }
    let now = configuration.now()
    guard let hours = configuration.schedule.applyHours, !hours.contains(now) else { return nil }
    return .hours(until: hours.next(from: now))
  }

  private func sayHeld(_ hold: Hold, _ adopted: AdoptedState) {
    let isNews = state.withLock { state in
      defer { (state.held, state.heldRevision) = (hold, adopted.revision) }
      return state.heldRevision != adopted.revision || state.held != hold
    }
    guard isNews else { return }
    log(.notice, "held: \(hold)", adopted.source, adopted.revision, adopted.version)
    emit(.held(hold), adopted.source, adopted.revision, adopted.version, adopted.origin)
  }
}
