public import FoundationEssentials

/// What one poll of a source found.
public struct FetchResult: Sendable {
  /// The three answers of a source that was reached.
  public enum Outcome: Sendable {
    /// The source still publishes ``FetchRequest/current``.
    case unchanged
    /// The source was reached and publishes nothing. Never a reason to remove anything.
    case absent(Absence)
    /// The source publishes another state, or the same one with new evidence that is to be verified (another commit).
    case changed(FetchedState)
  }

  /// The answer.
  public var outcome: Outcome
  /// Where this result stands in the source's own terms (an ETag, a commit id). The store keeps it with the source
  /// and gives it back in the next ``FetchRequest``, across restarts; only the backend reads it. It must not
  /// stand for something else when the source is made anew: bind it to the revision, and to what makes the source this one.
  public var marker: String?
  /// The source asks not to be looked at again before this much time has passed.
  public var retryAfter: Duration?
  /// When the credentials that the source was shown (this device's certificate) are no longer valid, if that is so soon that
  /// they should be renewed now.
  public var credentialsExpire: Date?

  /// A result with this answer.
  public init(
    _ outcome: Outcome, marker: String? = nil, retryAfter: Duration? = nil, credentialsExpire: Date? = nil
  ) {
    self.outcome = outcome
    self.marker = marker
    self.retryAfter = retryAfter
    self.credentialsExpire = credentialsExpire
  }

  /// The source still publishes the current state.
  public static var unchanged: FetchResult { FetchResult(.unchanged) }
  /// The source was reached, and a part of what a state needs is missing: which one, in words for an operator.
  public static func absent(_ part: Absence.Part, _ reason: String) -> FetchResult {
    FetchResult(.absent(Absence(part, reason)))
  }
  /// The source publishes another state.
  public static func changed(_ state: FetchedState) -> FetchResult { FetchResult(.changed(state)) }

  /// The missing part, if the source publishes nothing.
  var absence: Absence? {
    if case .absent(let absence) = outcome { absence } else { nil }
  }

  /// The same result with its state, if it has one, replaced: for decorators.
  public func mapState(_ transform: (FetchedState) throws -> FetchedState) rethrows -> FetchResult {
    guard case .changed(let state) = outcome else { return self }
    return FetchResult(
      .changed(try transform(state)), marker: marker, retryAfter: retryAfter, credentialsExpire: credentialsExpire)
  }
}
