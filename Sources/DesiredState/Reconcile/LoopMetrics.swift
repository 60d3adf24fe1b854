import CoreMetrics

/// The counters and timers (swift-metrics). Without a backend bootstrapped it costs nothing.
///
/// Labels and dimensions are few and fixed: no document's name, no version.
struct LoopMetrics: Sendable {
  private let factory: any MetricsFactory
  private let pollTime: Timer
  private let applyTime: Timer
  private let adoptionLatency: Timer
  private let manifestBytes: Counter
  private let documentBytes: Counter
  private let outboxDepth: Meter
  private let staleness: Meter

  init(_ factory: any MetricsFactory) {
    self.factory = factory
    pollTime = Timer(label: "desired_state_poll_time", factory: factory)
    applyTime = Timer(label: "desired_state_apply_time", factory: factory)
    adoptionLatency = Timer(label: "desired_state_adoption_latency", factory: factory)
    manifestBytes = Counter(label: Self.bytes, dimensions: [("kind", "manifest")], factory: factory)
    documentBytes = Counter(label: Self.bytes, dimensions: [("kind", "document")], factory: factory)
    outboxDepth = Meter(label: "desired_state_outbox_depth", factory: factory)
    staleness = Meter(label: "desired_state_staleness_seconds", factory: factory)
  }

  private static let bytes = "desired_state_fetched_bytes_total"

  /// A poll is over.
  func polled(_ outcome: Reconciler.Outcome, for duration: Duration) {
    record(duration, in: pollTime)
    Counter(label: "desired_state_polls_total", dimensions: [("outcome", outcome.word)], factory: factory).increment()
  }

  func applied(for duration: Duration) { record(duration, in: applyTime) }

  /// How long ago a state was issued that was adopted now.
  func adopted(after duration: Duration) { record(duration, in: adoptionLatency) }

  func fetched(manifestBytes count: Int) { manifestBytes.increment(by: count) }
  func fetched(documentBytes count: Int) { documentBytes.increment(by: count) }

  /// Something new was refused; that it still is, is not counted.
  func refused(_ code: VerificationError.Code) {
    Counter(label: "desired_state_refusals_total", dimensions: [("code", code.rawValue)], factory: factory).increment()
  }

  /// How many acknowledgements wait.
  func waiting(_ count: Int) { outboxDepth.set(count) }

  /// How long ago a source confirmed that the adopted state is the one it publishes.
  func confirmed(ago duration: Duration) { staleness.set(duration / .seconds(1)) }

  func count(_ event: ReconcilerEvent) {
    var dimensions: [(String, String)] = []
    if let code = event.code { dimensions.append(("code", code)) }
    Counter(label: "desired_state_events_total", dimensions: [("event", event.name)] + dimensions, factory: factory)
      .increment()
  }

  /// Records a time, up to the 292 years that fit.
  private func record(_ duration: Duration, in timer: Timer) {
    timer.recordNanoseconds(Int64(min(max(duration / .nanoseconds(1), 0), 9e18)))
  }
}

extension Reconciler.Outcome {
  /// How the poll ended, in one word.
  fileprivate var word: String {
    switch self {
    case .current: "current"
    case .absent: "absent"
    case .rejected: "rejected"
    case .unavailable: "unavailable"
    case .applyFailed: "apply-failed"
    case .held: "held"
    case .resting: "resting"
    }
  }
}
