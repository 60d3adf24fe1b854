import CoreMetrics
import DesiredStateSupport
import FoundationEssentials

/// Keeps a device on the state its sources publish: looks, verifies, adopts, applies, acknowledges, and looks again.
///
/// The loop is level-triggered: it compares the desired state with the present one, and hints only make it look sooner.
/// What cannot be reached, is absent or is refused never takes anything away.
///
/// Polls, applies and deliveries each run one at a time, whichever way they were asked for, and none of the three waits
/// for another: while an apply takes hours, sources are polled and acknowledgements delivered.
public final class Reconciler: Sendable {
  let sources: [any DesiredStateBackend]
  let recipients: [any DesiredStateBackend]
  /// Where the adopted state is kept.
  public let store: StateStore
  let configuration: Configuration
  let apply: @Sendable (Update) async throws -> Void
  let observe: @Sendable (ReconcilerEvent) -> Void
  let subscribers = Subscribers<ReconcilerEvent>()
  let metrics: LoopMetrics
  let situations = Situations()
  let stopwatch: Stopwatch
  let state = LockedValue(LoopState())
  /// The keys of the trust update that the store follows, read once.
  let trustedKeys = LockedValue<(digest: Digest, keys: TrustedKeys)?>(nil)

  let polls = SharedWork<Outcome>()
  let applies = SharedWork<ApplyResult>()
  let deliveries = SharedWork<Duration?>()
  /// Each rings when there may be something to do for a part of the loop.
  let pollBell = AsyncSignal()
  let applyBell = AsyncSignal()
  let deliveryBell = AsyncSignal()
  /// Rings when the agent has reported how far a document has come.
  let reports = AsyncSignal()

  /// - Parameters:
  ///   - sources: where to look, in order of preference: see ``Configuration/preference``.
  ///   - recipients: where acknowledgements go, in order of preference: the first that takes one gets it. Nil: to the
  ///     sources. So state can come by one transport and the answer go by another.
  ///   - store: where the adopted state is kept.
  ///   - configuration: what to trust, and how often to look.
  ///   - observe: told of everything that happens, in order. It must return quickly. See also ``events(bufferingNewest:)``.
  ///   - apply: puts an adopted state to work. If it throws, it is called again later, also after a restart. It may take
  ///     hours; when its task is cancelled it ends soon, and says with `CancellationError` that it did not finish.
  public init(
    sources: [any DesiredStateBackend], acknowledgingTo recipients: [any DesiredStateBackend]? = nil,
    store: StateStore, configuration: Configuration,
    observe: @escaping @Sendable (ReconcilerEvent) -> Void = { _ in },
    apply: @escaping @Sendable (Update) async throws -> Void
  ) {
    self.sources = sources
    self.recipients = recipients ?? sources
    self.store = store
    self.configuration = configuration
    self.observe = observe
    self.apply = apply
    stopwatch = Stopwatch(configuration.clock)
    metrics = LoopMetrics(configuration.metrics ?? MetricsSystem.factory)
  }

  /// Looks again and again until the task is cancelled, and then returns, once an apply that is under way has ended.
  ///
  /// Trouble with the store's disk is logged and tried again, like everything else that may pass.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      for source in sources {
        guard let hints = source.changeHints() else { continue }
        group.addTask { for await _ in hints { self.hint(from: source.source) } }
      }
      if let requests = store.requestHints() {
        group.addTask { for await _ in requests { await self.trying("requests") { try await self.performRequests() } } }
      }
      group.addTask { await self.pollAgainAndAgain() }
      group.addTask { await self.applyAgainAndAgain() }
      group.addTask { await self.deliverAgainAndAgain() }
      await group.waitForAll()
    }
  }

  /// One cycle, at once: applies what is adopted and not applied yet, looks at the sources, adopts, applies, and delivers
  /// what the outbox holds.
  ///
  /// The loop's own backoff with what failed is passed over; what a source asked for, and the schedule, are not. Beside
  /// ``run()``, and from several tasks, each caller gets the result of a poll that began after its call.
  ///
  /// - Throws: ``StoreError`` and ``FileError`` for trouble on this device; `CancellationError`.
  @discardableResult
  public func runOnce() async throws -> Outcome {
    try await store.forgetSources(except: sources.map(\.source))
    try await performRequests()
    let before = await store.adopted?.revision
    var result = ApplyResult.settled()
    // An agent that is at work already is not waited for before the poll.
    if !applies.isRunning { result = try await applyNow() }
    let outcome = try await pollNow()
    // What the agent has just failed at is not asked of it again, unless the poll brought something to do it with.
    let after = await store.adopted?.revision
    if !result.isFailure || result.isDamage || after != before { result = try await applyNow() }
    result = try await seeTrialThrough(result)
    try await deliverNow()
    guard case .current = outcome else { return outcome }
    switch result {
    case .failed(let error): return .applyFailed(error)
    case .held(let hold): return .held(hold)
    case .settled, .applied, .rolledBack, .waiting: return outcome
    }
  }

  /// Goes on until the state that was applied has passed its trial, or has failed it and the one before is applied again.
  private func seeTrialThrough(_ result: ApplyResult) async throws -> ApplyResult {
    guard configuration.trial != nil else { return result }
    var result = result
    var failure: (any Error)?
    while true {
      switch result {
      case .settled(let again?): try await configuration.clock.sleep(for: again, tolerance: nil)
      case .applied: break
      case .rolledBack(let error): failure = error
      case .settled, .held, .waiting, .failed: return failure.map { .failed($0) } ?? result
      }
      // Whether all is still in place was seen a moment ago; if it never is, this must come to an end all the same.
      state.withLock { $0.isApplyAskedFor = true }
      result = try await applies.run(applyPending)
    }
  }

  private func pollNow() async throws -> Outcome {
    state.withLock { $0.isLookAskedFor = true }
    return try await polls.run(poll)
  }

  private func applyNow() async throws -> ApplyResult {
    state.withLock { ($0.isApplyAskedFor, $0.isCheckDue) = (true, true) }
    return try await applies.run(applyPending)
  }

  private func deliverNow() async throws {
    state.withLock { $0.isDeliveryAskedFor = true }
    _ = try await deliveries.run(deliver)
  }

  // MARK: - Events

  /// Everything that happens from now on, in order, for as long as it is iterated.
  ///
  /// - Parameter count: how many events may wait to be read; beyond that the oldest are dropped, so that a slow reader
  ///   holds up nothing.
  public func events(bufferingNewest count: Int = 1000) -> AsyncStream<ReconcilerEvent> {
    subscribers.stream(bufferingNewest: count)
  }

  func emit(
    _ kind: ReconcilerEvent.Kind, _ source: String?, _ revision: Revision? = nil, _ version: UInt64? = nil,
    _ origin: Origin? = nil
  ) {
    let event = ReconcilerEvent(kind: kind, source: source, revision: revision, version: version, origin: origin)
    observe(event)
    subscribers.send(event)
    metrics.count(event)
  }
}
