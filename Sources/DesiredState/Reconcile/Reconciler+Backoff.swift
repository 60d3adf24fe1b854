import DesiredStateSupport
import FoundationEssentials

/// Which sources are left alone for a while: because they asked for it, or because they failed.
extension Reconciler {
  /// What stands for a source that is not to be asked yet; nil if it is.
  ///
  /// - Parameter isAskedFor: whether a caller wants a poll now. The loop's own backoff does not count then.
  func standing(of source: String, isAskedFor: Bool) async -> Outcome? {
    let health = await store.health.sources[source]
    if let backoff = health?.backoff, backoff.isAskedFor, backoff.holds(at: configuration.now()) {
      return state.withLock { $0.sources[source]?.outcome } ?? health?.standing
    }
    let now = stopwatch.elapsed
    return state.withLock { state in
      guard !isAskedFor, let peer = state.sources[source], !peer.attempts.isDue(at: now) else { return nil }
      return peer.outcome
    }
  }

  /// Counts on, in a new process, from the failures after which a source asked to be left alone.
  func recallFailures(of source: String) async {
    guard let backoff = await store.health.sources[source]?.backoff, backoff.isAskedFor else { return }
    state.withLock { state in
      guard state.sources[source] == nil else { return }
      state.sources[source] = LoopState.Peer(attempts: Attempts(failures: backoff.failures))
    }
  }

  /// Warns, once as long as they are the same, of credentials that end soon.
  func noteCredentials(of source: String, until end: Date?) async throws {
    let now = configuration.now()
    if await store.health.sources[source]?.credentialsExpire != end {
      try await store.noteHealth(of: source, at: now) { $0.credentialsExpire = end }
    }
    guard let end else {
      situations.forget("credentials of \(source)")
      return
    }
    situations.note("\(end)", of: "credentials of \(source)") {
      let words = "the client certificate is valid until \(Timestamp.text(end)); renew it before"
      log(.warning, words, source, code: "credentials-expiring")
      emit(.credentialsExpiring(end), source)
    }
  }

  /// How much longer a source is left alone.
  func remainingBackoff(with source: String, at now: Date) -> Duration {
    let elapsed = stopwatch.elapsed
    return state.withLock { state in
      guard let peer = state.sources[source] else { return .zero }
      let asked =
        peer.asked.map { $0.holds(at: now) ? Duration.seconds($0.until.timeIntervalSince(now)) : .zero } ?? .zero
      return max(asked, peer.attempts.notBefore - elapsed)
    }
  }

  /// Notes how asking a source ended, and logs it if that is news.
  func note(_ outcome: Outcome, of source: String, _ retryAfter: Duration?) {
    let now = configuration.now()
    let elapsed = stopwatch.elapsed
    let random = configuration.random()
    state.withLock { state in
      var peer = state.sources[source] ?? LoopState.Peer()
      peer.outcome = outcome
      peer.asked = nil
      if let retryAfter, retryAfter > .zero {
        peer.asked = SourceHealth.Backoff(
          since: now, until: now.addingTimeInterval(retryAfter.timeInterval), failures: 0, isAskedFor: true)
      }
      peer.refused?.isRefused = outcome.isRefusal
      if case .rejected(let error) = outcome, error.remedy == .nothing, error.version == nil, peer.refused == nil {
        // Not even read: a manifest without end, for instance. Nothing tells whether it is still the same.
        peer.attempts.fail(at: elapsed, waiting: configuration.schedule.backoff(for: .waiting), random: random)
      } else if case .unavailable(let error) = outcome {
        // Its own word for it counts in place of the loop's.
        let remedy: Remedy = error.isRetryable ? .waiting : .person
        peer.attempts.fail(at: elapsed, waiting: configuration.schedule.backoff(for: remedy), random: random)
        if peer.asked != nil { peer.attempts.hurry() }
      } else {
        peer.attempts.succeed()
      }
      state.sources[source] = peer
    }
    logSituation(outcome, of: source)
  }

  /// Keeps in the store what a source asked for, so that a restart is no reason to ask it sooner, and when it is looked
  /// at next, for people to read.
  func rememberBackoff(with source: String, _ outcome: Outcome, _ retryAfter: Duration?) async throws {
    let now = configuration.now()
    let elapsed = stopwatch.elapsed
    let peer = state.withLock { $0.sources[source] }
    var backoff = peer?.asked
    if backoff == nil, case .unavailable = outcome, let peer, peer.attempts.notBefore > elapsed {
      backoff = SourceHealth.Backoff(
        since: now, until: now.addingTimeInterval((peer.attempts.notBefore - elapsed).timeInterval),
        failures: peer.attempts.failures, isAskedFor: false)
    }
    backoff?.failures = peer?.attempts.failures ?? 0
    try await store.noteHealth(of: source, at: now) { [backoff] in $0.backoff = backoff }
  }
}

extension Reconciler.Outcome {
  fileprivate var isRefusal: Bool { if case .rejected = self { true } else { false } }
}

extension SourceHealth {
  /// What the last poll came to, as far as it was written down.
  fileprivate var standing: Reconciler.Outcome {
    if let lastError { return .unavailable(BackendError(lastError.code, lastError.message)) }
    if let absent { return .absent(absent) }
    return .unavailable(BackendError(.busy, "the source asked to be left alone for a while"))
  }
}
