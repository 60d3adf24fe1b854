import DesiredStateSupport
import FoundationEssentials

/// What a reconciler knows beside its store, for as long as the process lives.
struct LoopState: Sendable {
  /// What the loop knows of a source or a recipient.
  struct Peer: Sendable {
    /// How often it failed, and when it is tried again by the loop's own judgement.
    var attempts = Attempts()
    /// How long it asked to be left alone.
    var asked: SourceHealth.Backoff?
    /// How the last poll ended: what stands while it is left alone.
    var outcome: Reconciler.Outcome?
    /// What it offers and this device refused.
    var refused: RefusedOffer?
  }

  var sources: [String: Peer] = [:]
  /// When a source last confirmed the adopted state: counted from the start of the process.
  var lastConfirmed: Duration = .zero
  var recipients: [String: Peer] = [:]
  /// How often the adopted state could not be applied.
  var applies = Attempts()
  var applyRevision: Revision?
  /// Whether a document of the adopted state is damaged, and all of it is to be fetched again.
  var isDamaged = false
  /// Whether a caller asked for the next poll, or the next apply: it does not wait for the loop's own backoff.
  var isLookAskedFor = false
  var isApplyAskedFor = false
  var isDeliveryAskedFor = false
  /// Whether it is time to see if what was applied is still in place: once after each poll.
  var isCheckDue = true
  /// Whether a source hinted at a change since the last poll.
  var isHinted = false
  var lastHintedLook: Duration?
  /// What was said last about a state that waits.
  var held: Reconciler.Hold?
  var heldRevision: Revision?
  /// The agent's work that is under way, and whether it was cancelled for something newer.
  var handler: (revision: Revision, task: Task<Void, any Error>)?
  var isSuperseded = false
  /// When the state on trial is checked next.
  var nextCheck: [Revision: Duration] = [:]
}
