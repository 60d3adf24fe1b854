import DesiredStateSupport

/// A state that a source offers and this device refused, for as long as the process lives: while the source says that it
/// still offers that one, nothing of it is fetched again for a while.
struct RefusedOffer: Sendable {
  var state: FetchedState
  var marker: String?
  /// ``TrustPolicy/fingerprint`` of the policy it was weighed by.
  var policy: String
  /// How often it was fetched.
  var polls = 1
  /// Until when it need not be fetched again: signatures can be added to a manifest that stays as it is.
  var until: Duration
  /// At which trust update the source's chain parts from the device's, once that was looked for.
  var fork: UInt64??
  /// Whether it was refused, and is not only under way.
  var isRefused = false

  /// A longer manifest is not kept in memory for this.
  static let longestManifest = 4 << 20
  private static let longestPause = Duration.seconds(600)

  /// How long it is not fetched again: at first for two polls, then for longer and longer.
  static func pause(afterPolls polls: Int, interval: Duration) -> Duration {
    min(max(longestPause, interval), interval * (1 << min(polls, 20)))
  }
}

extension Reconciler {
  /// The state that a source was refused for, if asking whether it is still that one is enough.
  func refusedOffer(of source: String, by policy: TrustPolicy, isAskedFor: Bool) -> RefusedOffer? {
    let now = stopwatch.elapsed
    return state.withLock { state in
      guard !isAskedFor, let offer = state.sources[source]?.refused, offer.isRefused, now < offer.until,
        offer.policy == policy.fingerprint
      else { return nil }
      return offer
    }
  }

  /// Notes what a source offers, in case it comes to be refused.
  func noteOffer(_ fetched: FetchedState, marker: String?, of source: String, policy: TrustPolicy) {
    let now = stopwatch.elapsed
    let interval = configuration.schedule.interval
    state.withLock { state in
      guard fetched.manifest.count <= RefusedOffer.longestManifest else {
        state.sources[source]?.refused = nil
        return
      }
      let before = state.sources[source]?.refused
      let polls = before.map { $0.state.revision == fetched.revision ? $0.polls + 1 : 1 } ?? 1
      state.sources[source, default: LoopState.Peer()].refused = RefusedOffer(
        state: fetched, marker: marker, policy: policy.fingerprint, polls: polls,
        until: now + RefusedOffer.pause(afterPolls: polls, interval: interval))
    }
  }

  func forgetOffer(of source: String) { state.withLock { $0.sources[source]?.refused = nil } }
}
