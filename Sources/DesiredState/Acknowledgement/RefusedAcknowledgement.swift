/// An acknowledgement that was given up: every recipient that takes its kind refused it for good.
///
/// It is no longer sent. The next one about the same subject is, and a reset of the refusals sends this one again.
public struct RefusedAcknowledgement: Sendable, Equatable, Codable {
  /// The acknowledgement itself.
  public var acknowledgement: Acknowledgement
  /// The recipient that refused it, the last if there were several.
  public var source: String
  /// Its reason, and when it gave it.
  public var failure: SourceHealth.Failure
}

extension BackendError {
  /// Whether an answer stands for this one thing that was sent, whatever time passes: an acknowledgement, a report. Where a
  /// person can mend it on either side (credentials, certificates, the address), it does not, unless the other side says so
  /// itself.
  public var isRefusalForGood: Bool {
    let mendable: Set<Code> = [
      .unauthorized, .forbidden, .tlsUntrusted, .unsupported, .unreachable, .timeout, .rateLimited, .serverError, .busy,
    ]
    return !isRetryable && retryAfter == nil && (isFinal || !mendable.contains(code))
  }
}
