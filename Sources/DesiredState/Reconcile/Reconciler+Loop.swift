import DesiredStateSupport
import FoundationEssentials

/// The three parts of the loop, each of which waits for its own time.
extension Reconciler {
  /// No sleep is longer than this when the wall clock decides its end: the clock may be set meanwhile.
  private static let longestRest = Duration.seconds(900)

  // MARK: - Polls

  func pollAgainAndAgain() async {
    await trying("store") { try await store.forgetSources(except: sources.map(\.source)) }
    await waitForLook(in: configuration.schedule.startSpread * configuration.random())
    while !Task.isCancelled {
      await trying("requests") { try await performRequests() }
      await trying("poll") { _ = try await polls.run(poll) }
      await trying("scrub") { try await scrub() }
      applyBell.ring()
      deliveryBell.ring()
      if Task.isCancelled { return }
      let wait = waitAfterPoll()
      emit(.waiting(wait), nil)
      await waitForLook(in: wait)
    }
  }

  /// Reads some of what is kept, so that rot is found before it is needed: what is damaged is fetched again.
  private func scrub() async throws {
    let damaged = try await store.scrubIfDue(at: configuration.now())
    guard !damaged.isEmpty else { return }
    log(.warning, "\(damaged.count) documents on this device's disk were damaged; they are fetched again")
    state.withLock { ($0.isDamaged, $0.isHinted) = (true, true) }
    pollBell.ring()
  }

  /// Returns when the time has passed, or sooner if a source hints at a change.
  private func waitForLook(in wait: Duration) async {
    let next = stopwatch.elapsed + wait
    while !Task.isCancelled {
      if let pause = pauseBeforeHintedLook() {
        // Hints beyond the bound are one hint, later.
        if pause > .zero { try? await configuration.clock.sleep(for: pause, tolerance: nil) }
        return
      }
      let rest = next - stopwatch.elapsed
      guard rest > .zero else { return }
      await pollBell.wait(atMost: rest, clock: configuration.clock)
    }
  }

  func hint(from source: String) {
    state.withLock { state in
      state.isHinted = true
      // Something has changed there: reason enough to try what failed before.
      state.sources[source]?.attempts.hurry()
      state.sources[source]?.refused = nil
    }
    pollBell.ring()
  }

  /// How long a hinted poll must wait, so that hints bring about no more polls than allowed; nil if none is hinted at.
  private func pauseBeforeHintedLook() -> Duration? {
    let now = stopwatch.elapsed
    let least = configuration.schedule.leastHintInterval
    return state.withLock { state in
      guard state.isHinted else { return nil }
      state.isHinted = false
      let earliest = state.lastHintedLook.map { $0 + least } ?? now
      state.lastHintedLook = max(now, earliest)
      return max(.zero, earliest - now)
    }
  }

  private func waitAfterPoll() -> Duration {
    let schedule = configuration.schedule
    let now = configuration.now()
    var wait = schedule.wait(random: configuration.random())
    // When no source may be asked before, there is no reason to get up.
    if let earliest = sources.map({ remainingBackoff(with: $0.source, at: now) }).min() { wait = max(wait, earliest) }
    guard let end = schedule.restsUntil(now.addingTimeInterval(wait.timeInterval)) else { return wait }
    // A fleet whose hours begin at the same minute does not look in the same second.
    wait = .seconds(end.timeIntervalSince(now)) + schedule.interval * configuration.random()
    return min(wait, max(Self.longestRest, schedule.interval))
  }

  // MARK: - Applies and deliveries

  func applyAgainAndAgain() async {
    while !Task.isCancelled {
      var wait: Duration?
      await trying("apply") {
        let result = try await applies.run(applyPending)
        if result.isDamage {
          state.withLock { $0.isHinted = true }
          pollBell.ring()
        }
        switch result {
        case .applied, .rolledBack, .failed: deliveryBell.ring()
        case .settled, .held, .waiting: break
        }
        wait = waitAfterApply(result)
      }
      if wait == .zero { continue }
      if let wait { await applyBell.wait(atMost: wait, clock: configuration.clock) } else { await applyBell.wait() }
    }
  }

  private func waitAfterApply(_ result: ApplyResult) -> Duration? {
    switch result {
    // There may be more: what was adopted meanwhile, or a trial that begins.
    case .applied, .rolledBack: .zero
    case .failed, .waiting:
      state.withLock { max(.zero, $0.applies.notBefore - stopwatch.elapsed) }
    case .held(.hours(let date)):
      min(Self.longestRest, max(.milliseconds(1), .seconds(date.timeIntervalSince(configuration.now()))))
    case .settled(let wait): wait
    case .held(.approval): nil
    }
  }

  func deliverAgainAndAgain() async {
    while !Task.isCancelled {
      var wait: Duration?
      await trying("delivery") { wait = try await deliveries.run(deliver) }
      if let wait {
        await deliveryBell.wait(atMost: wait, clock: configuration.clock)
      } else {
        await deliveryBell.wait()
      }
    }
  }

  /// Trouble on this device is logged, once as long as it is the same, and tried again.
  func trying(_ part: String, _ work: () async throws -> Void) async {
    do {
      try await work()
      situations.forget("device \(part)")
    } catch {
      if Task.isCancelled { return }
      reportTrouble(error, part)
    }
  }
}
