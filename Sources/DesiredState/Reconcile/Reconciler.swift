import DesiredStateSupport
public import FoundationEssentials
public import Logging
import Synchronization

/// Keeps a device on the state its sources publish: looks, verifies, adopts, applies, acknowledges, and looks again.
///
/// The loop is level-triggered: it compares what is wanted with what is there, and hints only make it look sooner.
/// What cannot be reached, is absent or is refused never takes anything away.
public final class Reconciler: Sendable {
  /// Puts an adopted state to work. If it throws, it is called again at the next look, also after a restart.
  public typealias ApplyHandler = @Sendable (Update) async throws -> Void

  let sources: [any DesiredStateBackend]
  let recipients: [any DesiredStateBackend]
  /// Where the adopted state is kept.
  public let store: StateStore
  let configuration: Configuration
  let apply: ApplyHandler
  let observe: @Sendable (ReconcilerEvent) -> Void
  /// Rings when the agent has reported how far a document has come.
  let reports = AsyncSignal()
  /// Rings when it is worth looking now.
  private let bell = AsyncSignal()
  /// The keys of the trust update that the store follows, read once.
  let trustedKeys = Mutex<(digest: Digest, keys: TrustedKeys)?>(nil)
  /// Which sources asked for patience.
  let patience = RetryAfterTable<Reconciler.Outcome>()

  /// - Parameters:
  ///   - sources: where to look, in order of preference: the first that answers decides.
  ///   - recipients: where acknowledgements go, in order of preference: the first that takes one gets it. Nil: to the
  ///     sources. So state can come by one road and the answer go by another.
  ///   - store: where the adopted state is kept.
  ///   - configuration: what to trust, and how often to look.
  ///   - observe: told of everything that happens, in order. It must return quickly.
  ///   - apply: puts an adopted state to work.
  public init(
    sources: [any DesiredStateBackend], acknowledgingTo recipients: [any DesiredStateBackend]? = nil,
    store: StateStore, configuration: Configuration,
    observe: @escaping @Sendable (ReconcilerEvent) -> Void = { _ in }, apply: @escaping ApplyHandler
  ) {
    self.sources = sources
    self.recipients = recipients ?? sources
    self.store = store
    self.configuration = configuration
    self.observe = observe
    self.apply = apply
  }

  /// How a reconciler behaves.
  public struct Configuration: Sendable {
    /// What to trust.
    public var policy: TrustPolicy
    /// Asked at every poll what to trust, so that files of keys can change while the device runs; it must be quick. Nil:
    /// always ``policy``.
    public var currentPolicy: (@Sendable () async -> TrustPolicy)?
    /// This device's name: manifests that name another are refused, and acknowledgements bear it.
    public var device: String
    /// When to look.
    public var schedule: Schedule
    /// How long a source may take to answer, and a document's reading may stall.
    public var timeout: Duration
    /// Bounds on counts and sizes.
    public var limits: Limits
    /// Asked at every look whether what was applied is still in place; if not, all of it is applied again.
    public var isStillApplied: @Sendable (AppliedState) async -> Bool
    /// Where it logs.
    public var logger: Logger
    /// What time passes by; a virtual clock in tests.
    public var clock: any Clock<Duration>
    /// The device's wall clock.
    public var now: @Sendable () -> Date
    /// A number from 0 to 1, for jitter.
    public var random: @Sendable () -> Double

    public init(
      policy: TrustPolicy, device: String, schedule: Schedule = Schedule(), timeout: Duration = .seconds(30),
      limits: Limits = Limits(), isStillApplied: @escaping @Sendable (AppliedState) async -> Bool = { _ in true },
      logger: Logger = Logger(label: "desired-state"),
      clock: any Clock<Duration> = ContinuousClock(), now: @escaping @Sendable () -> Date = { Date() },
      random: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
      self.policy = policy
      self.device = device
      self.schedule = schedule
      self.timeout = timeout
      self.limits = limits
      self.isStillApplied = isStillApplied
      self.logger = logger
      self.clock = clock
      self.now = now
      self.random = random
    }
  }

  /// How one cycle ended.
  public enum Outcome: Sendable {
    /// The device is on the state published, whether it was before or came to it now.
    case current
    /// Nothing is published; what is missing.
    case absent(Absence)
    /// What is published was refused.
    case rejected(VerificationError)
    /// No source could be reached.
    case unavailable(BackendError)
    /// The state is adopted but could not be applied.
    case applyFailed(any Error)
  }

  /// Looks again and again until the task is cancelled, and then returns.
  ///
  /// Trouble with the store's disk is logged and tried again, like everything else that may pass.
  public func run() async {
    let listeners = sources.compactMap { [bell] source in
      source.changeHints().map { hints in Task { for await _ in hints { bell.ring() } } }
    }
    defer { for listener in listeners { listener.cancel() } }
    while !Task.isCancelled {
      do {
        try await runOnce()
      } catch {
        if !Task.isCancelled { configuration.logger.error("\(error)") }
      }
      let wait = configuration.schedule.wait(random: configuration.random())
      emit(.waiting(wait), nil)
      await bell.wait(atMost: wait, clock: configuration.clock)
    }
  }

  /// Makes ``run()`` look now, or at once again if it is looking.
  public func lookNow() { bell.ring() }

  /// One cycle: applies what is adopted and not applied yet, looks at the sources, adopts, applies, and delivers what
  /// the outbox holds.
  ///
  /// - Throws: ``StoreError`` and ``FileError`` for trouble on this device; `CancellationError`.
  @discardableResult
  public func runOnce() async throws -> Outcome {
    // Whether the store is whole is found out when it is used: then, and not at every look, it costs something.
    var failure = try await applyPending()
    let isDamaged = (failure as? StoreError)?.code == .documentDamaged
    let before = await store.adopted?.revision
    let outcome = try await look(isDamaged: isDamaged)
    // What the agent has just failed at is not asked of it again, unless the look brought something to do it with.
    let after = await store.adopted?.revision
    if failure == nil || isDamaged || after != before { failure = try await applyPending() }
    try await deliver()
    if let failure, case .current = outcome { return .applyFailed(failure) }
    return outcome
  }

  /// Applies the adopted state if it is not the applied one.
  ///
  /// - Returns: the error the agent's handler threw, if any.
  private func applyPending() async throws -> (any Error)? {
    do {
      guard let adopted = await store.adopted else { return nil }
      var isLost = false
      if let applied = await store.applied, applied.revision == adopted.revision {
        isLost = await !configuration.isStillApplied(applied)
      }
      guard
        let update = try await store.pendingUpdate(
          everything: isLost, device: configuration.device, now: configuration.now, didReport: reports.ring)
      else { return nil }
      try await store.markApplying(adopted, at: configuration.now())
      try await deliveringReports { try await apply(update) }
      try await store.markApplied(adopted, at: configuration.now())
      emit(.applied(update), adopted.source, adopted.revision, adopted.version, adopted.origin)
      return nil
    } catch {
      try Task.checkCancellation()
      configuration.logger.error("applying failed: \(error)")
      let adopted = await store.adopted
      if let adopted { try await store.applyFailed(adopted, reason: "\(error)", at: configuration.now()) }
      emit(.applyFailed(error), adopted?.source, adopted?.revision, adopted?.version, adopted?.origin)
      return error
    }
  }

  /// Delivers what the agent reports while it works: installing may take an hour, and an orchestrator wants to see it.
  private func deliveringReports(_ work: () async throws -> Void) async throws {
    let delivery = Task {
      while !Task.isCancelled {
        await reports.wait()
        try await deliver()
      }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await work()) } catch { result = .failure(error) }
    delivery.cancel()
    // One delivery at a time, so that order is kept.
    _ = await delivery.result
    try result.get()
  }

  private func deliver() async throws {
    try await store.moveStatements()
    let result = try await store.outbox.deliver(
      to: recipients, within: configuration.timeout, clock: configuration.clock, at: configuration.now())
    for (acknowledgement, source) in result.delivered {
      emit(
        .acknowledged(acknowledgement), source, acknowledgement.revision, acknowledgement.adoptedManifestVersion,
        acknowledgement.origin)
    }
    if let failure = result.failure {
      configuration.logger.warning("an acknowledgement waits: \(failure)")
      emit(.acknowledgementFailed(failure), nil)
    }
  }

  func emit(
    _ kind: ReconcilerEvent.Kind, _ source: String?, _ revision: Revision? = nil, _ version: UInt64? = nil,
    _ origin: Origin? = nil
  ) {
    observe(ReconcilerEvent(kind: kind, source: source, revision: revision, version: version, origin: origin))
  }
}
