import CoreMetrics

/// The counters and timers (swift-metrics). Without a backend bootstrapped it costs nothing.
struct LoopMetrics: Sendable {
  let pollTime = Timer(label: "desired_state_poll_time")
  let applyTime = Timer(label: "desired_state_apply_time")
  /// From a manifest's `issued` to its adoption.
  let adoptionLatency = Timer(label: "desired_state_adoption_latency")

  /// Records a time, up to the 292 years that fit.
  static func record(_ duration: Duration, in timer: Timer) {
    timer.recordNanoseconds(Int64(min(max(duration / .nanoseconds(1), 0), 9e18)))
  }

  func count(_ event: ReconcilerEvent) {
    var dimensions: [(String, String)] = []
    if let code = event.code { dimensions.append(("code", code)) }
    Counter(label: "desired_state_events_total", dimensions: [("event", event.name)] + dimensions).increment()
  }
}
