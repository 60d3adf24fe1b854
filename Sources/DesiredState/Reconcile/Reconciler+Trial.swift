import DesiredStateSupport
import FoundationEssentials

extension Reconciler {
  /// A time during which a state that was just applied must prove itself. If it does not, the state before is applied
  /// again, and it is not tried again until a newer one is published.
  public struct Trial: Sendable {
    /// How long the check must pass before the state counts as good.
    var duration: Duration
    /// The time from one check to the next. Default: a tenth of the duration, from 100 milliseconds to a minute.
    var interval: Duration
    /// Throws if what was applied does not work as it should. The first failure ends the trial: a check that must wait
    /// for something to start does so itself.
    var check: @Sendable (AppliedState) async throws -> Void

    /// A trial that lasts a time, during which a check is made again and again.
    public init(
      _ duration: Duration, every interval: Duration? = nil,
      check: @escaping @Sendable (AppliedState) async throws -> Void
    ) {
      self.duration = duration
      self.interval = interval ?? min(max(duration / 10, .milliseconds(100)), .seconds(60))
      self.check = check
    }
  }

  /// Goes on with the trial of the applied state, if it is on one.
  func tryOut(_ applied: AppliedState, _ adopted: AdoptedState) async throws -> ApplyResult {
    guard let trial = configuration.trial, let begun = await store.trial, begun.revision == applied.revision else {
      return .settled()
    }
    let now = stopwatch.elapsed
    let due = state.withLock { $0.nextCheck[applied.revision] ?? .zero }
    guard due <= now else { return .settled(again: due - now) }
    do {
      try await trial.check(applied)
    } catch {
      try Task.checkCancellation()
      try await failTrial(of: adopted, error)
      return .rolledBack(error)
    }
    var passed = configuration.now().timeIntervalSince(begun.since)
    if passed < 0 {
      // A clock that was set back must not make a trial endless: it begins anew.
      try await store.restartTrial(at: configuration.now())
      passed = 0
    }
    guard passed < trial.duration.timeInterval else {
      try await store.endTrial(at: configuration.now())
      state.withLock { $0.nextCheck = [:] }
      log(.notice, "passed its trial", applied.source, applied.revision, applied.version)
      emit(.proven, applied.source, applied.revision, applied.version, applied.origin)
      return .settled()
    }
    let wait = min(trial.interval, max(.milliseconds(1), trial.duration - .seconds(passed)))
    state.withLock { $0.nextCheck = [applied.revision: stopwatch.elapsed + wait] }
    return .settled(again: wait)
  }

  private func failTrial(of adopted: AdoptedState, _ error: any Error) async throws {
    let now = configuration.now()
    let reason = "it did not pass its trial: \(printable("\(error)"))"
    let departure = Acknowledgement.OtherState(
      revision: adopted.revision, version: adopted.version, code: "trial-failed", reason: reason)
    state.withLock { $0.nextCheck = [:] }
    log(.error, reason, adopted.source, adopted.revision, adopted.version)
    guard let target = await store.trialFallback else {
      // The first state of a device: there is nothing to go back to.
      try await store.endTrial(
        at: now, failure: reason, acknowledging: [acknowledgement(.failed(departure), of: adopted)])
      emit(.rolledBack(departure), adopted.source, adopted.revision, adopted.version, adopted.origin)
      return
    }
    try await store.rollBack(
      to: target.revision, code: departure.code, reason: reason, at: now,
      acknowledging: [acknowledgement(.failed(departure), of: target)])
    emit(.rolledBack(departure), target.source, target.revision, target.version, target.origin)
    deliveryBell.ring()
  }
}
