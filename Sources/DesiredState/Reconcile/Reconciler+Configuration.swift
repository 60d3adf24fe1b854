import CoreMetrics
package import DesiredStateSupport
public import FoundationEssentials
public import Logging

extension Reconciler {
  /// How a reconciler behaves.
  public struct Configuration: Sendable {
    let policy: TrustPolicy
    /// Asked at every poll what to trust, so that files of keys can change while the device runs; it must be quick. Nil:
    /// always the policy that the configuration was made with.
    public var currentPolicy: (@Sendable () async -> TrustPolicy)?
    let device: String
    let schedule: Schedule
    /// Which source decides when several answer. Default: the first.
    public var preference: SourcePreference = .first
    /// Whether an apply that is under way is cancelled when something newer is adopted. Default false: it is finished
    /// first. Of a cancelled apply the next update says what it may have left behind.
    public var supersedesApplies = false
    /// How long an apply that failed is left alone: at first a minute at most, then for longer and longer, up to an
    /// hour. A newer state is applied at once.
    package var applyBackoff = Backoff(first: .seconds(60), longest: .seconds(3600))
    /// How a state that was just applied must prove itself; nil: it counts as good at once.
    public var trial: Trial?
    package var timeout: Duration
    package var limits: Limits
    package var isStillApplied: @Sendable (AppliedState) async -> Bool
    /// Told of what is read while a state is adopted, for a display of how far it is.
    package var watchReading: ReadingWatch?
    let logger: Logger
    /// Where it counts; nil: where the process does.
    var metrics: (any MetricsFactory)?
    let clock: any Clock<Duration>
    let now: @Sendable () -> Date
    let random: @Sendable () -> Double

    /// Called with the bytes of each piece of a document as it arrives, and with how many all documents that are missing
    /// have by their publisher's word, or nil where a size is not given. It is called often, on the thread that reads, and
    /// must be quick.
    package typealias ReadingWatch = @Sendable (_ bytes: Int, _ expected: UInt64?) -> Void

    /// A configuration of these parts; by default a poll every 30 seconds, under the system's clocks.
    ///
    /// - Parameters:
    ///   - policy: what to trust.
    ///   - device: this device's name: manifests that name another are refused, and acknowledgements bear it.
    ///   - schedule: when to look, and when to apply.
    ///   - timeout: how long a source may take to answer, and a document's reading may stall.
    ///   - limits: bounds on counts and sizes.
    ///   - isStillApplied: asked at every poll whether the applied state is still in place; if not, all of it is applied
    ///     again.
    ///   - logger: where it logs.
    ///   - clock: what time passes by; a virtual clock in tests.
    ///   - now: the device's wall clock.
    ///   - random: a number from 0 to 1, for jitter.
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

  /// Which of several sources decides.
  public enum SourcePreference: String, Sendable, CaseIterable {
    /// The first that answers, in the order given. The others stand in while it does not, and it is back when it answers.
    case first
    /// The one with the highest version, of all that answer. A mirror that is behind masks nothing; every poll asks
    /// every source.
    case newest
  }

  /// How one cycle ended.
  public enum Outcome: Sendable {
    /// The device is on the state published, whether it was before or came to it now.
    case current
    /// Nothing is published, and which part is missing.
    case absent(Absence)
    /// The published state was refused.
    case rejected(VerificationError)
    /// No source could be reached.
    case unavailable(BackendError)
    /// The state is adopted but could not be applied.
    case applyFailed(any Error)
    /// The state is adopted and waits until it may be applied.
    case held(Hold)
    /// No source was looked at: it is not the time for it. The next poll may be then.
    case resting(until: Date)
  }

  /// What an adopted state waits for before it is applied.
  public enum Hold: Sendable, Hashable, CustomStringConvertible {
    /// An operator's approval.
    case approval
    /// The time at which updates may be applied.
    case hours(until: Date)

    /// The reason in one word that programs can match.
    package var code: String {
      switch self {
      case .approval: "approval"
      case .hours: "apply-hours"
      }
    }

    public var description: String {
      switch self {
      case .approval: "it waits for an operator's approval"
      case .hours(let date): "updates are applied from \(Timestamp.text(date)) on"
      }
    }
  }
}
