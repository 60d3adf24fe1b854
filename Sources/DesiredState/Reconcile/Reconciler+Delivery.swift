import DesiredStateSupport
import FoundationEssentials

/// Delivering acknowledgements: to the first recipient that takes each, and in peace with those that fail.
extension Reconciler {
  /// Delivers what waits.
  ///
  /// - Returns: when to try again, if something could not be delivered.
  func deliver() async throws -> Duration? {
    let isAskedFor = state.withLock { state in
      defer { state.isDeliveryAskedFor = false }
      return state.isDeliveryAskedFor
    }
    do {
      try await store.moveAcknowledgements()
    } catch  where !(error is CancellationError) {
      // They stay in the record; what is in the outbox already is no worse for it.
      reportTrouble(error, "outbox")
    }
    let now = configuration.now()
    if let downtime = configuration.schedule.downtime, downtime.contains(now) {
      return min(.seconds(downtime.end(from: now).timeIntervalSince(now)), .seconds(900))
    }
    let takes = recipients.reduce(into: BackendCapabilities()) { $0.formUnion($1.capabilities) }
      .intersection(.acknowledges)
    if await store.health.delivery.takes != takes { try await store.noteDelivery(at: now) { $0.takes = takes } }
    let due = await recipients.filterAsync { await mayDeliver(to: $0.source, isAskedFor, now) }
    let attempts = due.map { Attempt($0, configuration) }
    let result = try await store.outbox.deliver(
      // Each attempt keeps the time by itself, and knows then that it was over.
      to: attempts, within: configuration.timeout * 2, clock: configuration.clock, at: now,
      givingUp: { [store] in try await store.giveUp($0) })
    for (acknowledgement, source) in result.delivered {
      emit(
        .acknowledged(acknowledgement), source, acknowledgement.revision, acknowledgement.adoptedManifestVersion,
        acknowledgement.origin)
    }
    if let waiting = result.waiting { metrics.waiting(waiting) }
    for refused in result.refused {
      let acknowledgement = refused.acknowledgement
      log(
        .warning, "an acknowledgement is given up, it was refused for good: \(refused.failure.message)", refused.source,
        acknowledgement.revision, acknowledgement.adoptedManifestVersion, code: refused.failure.code.rawValue)
      emit(
        .acknowledgementRefused(refused), refused.source, acknowledgement.revision,
        acknowledgement.adoptedManifestVersion, acknowledgement.origin)
    }
    if !result.delivered.isEmpty {
      try await store.forgetRefused(about: Set(result.delivered.map(\.acknowledgement.subject)))
    }
    for attempt in attempts { try await note(attempt, at: now) }
    try await noteDelivery(result.failure, attempts, at: now)
    return await waitForRecipients()
  }

  /// A recipient during one delivery: after a failure that is not about one acknowledgement alone it is not tried again for
  /// the next, so that a server that is gone costs one timeout and not one an acknowledgement.
  private final class Attempt: DesiredStateBackend {
    let base: any DesiredStateBackend
    private struct State {
      /// Why nothing more is tried in this delivery.
      var failure: BackendError?
      /// Why one acknowledgement was not taken, by an answer that a person can change, while others may be.
      var refusal: BackendError?
      var wasReached = false
    }
    private let state = LockedValue(State())

    private let configuration: Configuration

    init(_ base: any DesiredStateBackend, _ configuration: Configuration) {
      self.base = base
      self.configuration = configuration
    }

    var source: String { base.source }
    var capabilities: BackendCapabilities { base.capabilities }
    var failure: BackendError? { state.withLock { $0.failure } }
    var refusal: BackendError? { state.withLock { $0.refusal } }
    var wasReached: Bool { state.withLock { $0.wasReached } }

    func fetch(_ request: FetchRequest) async throws -> FetchResult { try await base.fetch(request) }

    func acknowledge(_ acknowledgement: Acknowledgement) async throws {
      if let failure { throw failure }
      do {
        let base = base
        try await withTimeout(configuration.timeout, clock: configuration.clock) {
          try await base.acknowledge(acknowledgement)
        }
        state.withLock { $0.wasReached = true }
      } catch {
        guard !(error is CancellationError) || !Task.isCancelled else { throw error }
        let failure = error as? BackendError
        if let failure, failure.isRefusalForGood {
          // About this acknowledgement; the recipient was reached, and is asked to take the next.
          state.withLock { $0.wasReached = true }
        } else if failure?.isRetryable ?? true || failure?.retryAfter != nil {
          state.withLock {
            $0.failure = failure ?? BackendError(.protocolViolation, "\(type(of: error))", underlying: error)
          }
        } else {
          state.withLock { $0.refusal = failure }
        }
        throw error
      }
    }
  }

  private func mayDeliver(to source: String, _ isAskedFor: Bool, _ now: Date) async -> Bool {
    if let backoff = await store.health.delivery.backoff[source], backoff.isAskedFor, backoff.holds(at: now) {
      return false
    }
    if isAskedFor { return true }
    return state.withLock { $0.recipients[source]?.attempts.isDue(at: stopwatch.elapsed) ?? true }
  }

  private func note(_ attempt: Attempt, at now: Date) async throws {
    let source = attempt.source
    guard let failure = attempt.failure ?? attempt.refusal else {
      if attempt.wasReached { state.withLock { $0.recipients[source] = nil } }
      if await store.health.delivery.backoff[source] != nil {
        try await store.noteDelivery(at: now) { $0.backoff[source] = nil }
      }
      return
    }
    // Where others are taken, credentials are right, and it is about one acknowledgement.
    let isForPerson = !failure.isRetryable && !attempt.wasReached
    let backoff = configuration.schedule.backoff(for: isForPerson ? .person : .waiting)
    let known = await store.health.delivery.backoff[source]
    let before = known.flatMap { $0.isAskedFor ? $0.failures : nil } ?? 0
    let (failures, wait) = state.withLock { state in
      var peer = state.recipients[source] ?? LoopState.Peer(attempts: Attempts(failures: before))
      peer.attempts.fail(at: stopwatch.elapsed, waiting: backoff, random: configuration.random())
      state.recipients[source] = peer
      return (peer.attempts.failures, peer.attempts.notBefore - stopwatch.elapsed)
    }
    let pause = SourceHealth.Backoff(
      since: now,
      until: now.addingTimeInterval(
        (failure.wait(afterFailures: failures, growingTo: configuration.schedule.longestBackoff) ?? wait)
          .timeInterval),
      failures: failures, isAskedFor: failure.retryAfter != nil)
    try await store.noteDelivery(at: now) { $0.backoff[source] = pause }
  }

  private func noteDelivery(_ failure: (any Error)?, _ attempts: [Attempt], at now: Date) async throws {
    guard let failure else {
      if !attempts.isEmpty {
        situations.forget("delivery")
        if await store.health.delivery.lastError != nil {
          try await store.noteDelivery(at: now) { $0.lastError = nil }
        }
      }
      return
    }
    let error = failure as? BackendError
    situations.note(error?.code.rawValue ?? "\(type(of: failure))", of: "delivery") {
      log(.warning, "an acknowledgement waits: \(failure)", attempts.first?.source)
    }
    emit(.acknowledgementFailed(failure), attempts.first { $0.failure != nil || $0.refusal != nil }?.source)
    try await store.noteDelivery(at: now) {
      $0.lastError = .init(
        code: error?.code ?? .protocolViolation, message: error?.message ?? "\(type(of: failure))",
        problem: error?.problemType, at: now)
    }
  }

  /// When the first recipient that failed may be tried again.
  private func waitForRecipients() async -> Duration? {
    let now = configuration.now()
    let asked = await store.health.delivery.backoff.values.filter { $0.isAskedFor && $0.holds(at: now) }
      .map { Duration.seconds($0.until.timeIntervalSince(now)) }
    let elapsed = stopwatch.elapsed
    let own = state.withLock { $0.recipients.values.map { $0.attempts.notBefore - elapsed }.filter { $0 > .zero } }
    return (asked + own).min()
  }
}

extension Array {
  fileprivate func filterAsync(_ isIncluded: (Element) async -> Bool) async -> [Element] {
    var included: [Element] = []
    for element in self where await isIncluded(element) { included.append(element) }
    return included
  }
}
