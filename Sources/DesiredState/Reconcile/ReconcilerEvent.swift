import DesiredStateSupport
public import FoundationEssentials

/// Something a reconciler did or found, for logs and for those who watch.
public struct ReconcilerEvent: Sendable {
  /// What happened.
  public enum Kind: Sendable {
    /// The source still publishes the adopted state.
    case unchanged
    /// The source publishes nothing, and which part is missing.
    case absent(Absence)
    /// The source did not answer, or made no sense.
    case unavailable(BackendError)
    /// A state arrived; nothing in it is trusted yet.
    case fetched
    /// The state may be adopted.
    case verified
    /// The state was refused; the last good one stays.
    case rejected(VerificationError)
    /// The state is durable on this device.
    case adopted
    /// The agent has put the adopted state to work.
    case applied(Update)
    /// The agent failed to put the adopted state to work; it is tried again.
    case applyFailed(any Error)
    /// The adopted state waits before it is applied; for what.
    case held(Reconciler.Hold)
    /// The agent's work on the state was cancelled, because a newer one was adopted.
    case superseded
    /// The applied state has passed its trial.
    case proven
    /// The device went back: the event's own state is the one it is on now.
    case rolledBack(Acknowledgement.OtherState)
    /// An acknowledgement reached the orchestrator.
    case acknowledged(Acknowledgement)
    /// An acknowledgement could not be delivered; it waits.
    case acknowledgementFailed(any Error)
    /// An acknowledgement was refused for good, and is not sent again.
    case acknowledgementRefused(RefusedAcknowledgement)
    /// The credentials that the source was shown end then, which is soon: they have to be renewed.
    case credentialsExpiring(Date)
    /// The cycle is over; the next one begins after this time, or sooner if a source hints at a change.
    case waiting(Duration)
  }

  /// What happened.
  public var kind: Kind
  /// The source it is about; nil where none is.
  public var source: String?
  /// The revision, where known.
  public var revision: Revision?
  /// The manifest's version, where known.
  public var version: UInt64?
  /// Where the state came from in the source's own terms, where known.
  public var origin: Origin?
}

extension ReconcilerEvent {
  /// What happened, in one word that programs can match.
  public var name: String {
    switch kind {
    case .unchanged: "unchanged"
    case .absent: "absent"
    case .unavailable: "unavailable"
    case .fetched: "fetched"
    case .verified: "verified"
    case .rejected: "rejected"
    case .adopted: "adopted"
    case .applied: "applied"
    case .applyFailed: "apply-failed"
    case .held: "held"
    case .superseded: "superseded"
    case .proven: "proven"
    case .rolledBack: "rolled-back"
    case .acknowledged: "acknowledged"
    case .acknowledgementFailed: "acknowledgement-failed"
    case .acknowledgementRefused: "acknowledgement-refused"
    case .credentialsExpiring: "credentials-expiring"
    case .waiting: "waiting"
    }
  }

  /// Which trouble it tells of, in one word; nil if none.
  public var code: String? {
    switch kind {
    case .absent(let absence): absence.part.rawValue
    case .unavailable(let error): error.code.rawValue
    case .rejected(let error): error.code.rawValue
    case .applyFailed(let error): (error as? FileError)?.isNoSpace ?? false ? "no-space" : "apply-failed"
    case .held(let hold): hold.code
    case .rolledBack(let departure): departure.code
    case .acknowledgementFailed(let error): (error as? BackendError)?.code.rawValue ?? "acknowledgement-failed"
    case .acknowledgementRefused(let refused): refused.failure.code.rawValue
    case .credentialsExpiring: name
    case .unchanged, .fetched, .verified, .adopted, .applied, .superseded, .proven, .acknowledged, .waiting: nil
    }
  }
}
