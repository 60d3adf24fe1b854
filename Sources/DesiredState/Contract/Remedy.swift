/// What an error needs so that the same question may have another answer.
package enum Remedy: Sendable, Hashable {
  /// Time: the source is asked again after a while, and then less and less often.
  case waiting
  /// This much time: the source itself said so.
  case waitingFor(Duration)
  /// A person: better credentials, a certificate to trust, another setting. Asking again soon helps nothing; it is said
  /// once and tried at long intervals.
  case person
  /// Nothing on this device helps: the answer stands until the source or the policy changes.
  case nothing
}

extension BackendError {
  /// What the error needs.
  package var remedy: Remedy {
    if let retryAfter, retryAfter > .zero { return .waitingFor(retryAfter) }
    return isRetryable ? .waiting : .person
  }
}

extension VerificationError {
  /// What the refusal needs.
  package var remedy: Remedy { isTransient ? .waiting : .nothing }
}
