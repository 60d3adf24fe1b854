/// Something a reconciler did or found, for logs and for those who watch.
public struct ReconcilerEvent: Sendable {
  /// What happened.
  public enum Kind: Sendable {
    /// The source still publishes the adopted state.
    case unchanged
    /// The source publishes nothing; what is missing.
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
    /// A statement reached the orchestrator.
    case acknowledged(Acknowledgement)
    /// A statement could not be delivered; it waits.
    case acknowledgementFailed(any Error)
    /// The cycle is over; the next one begins after this time, or sooner if a source hints at a change.
    case waiting(Duration)
  }

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
