public import FoundationEssentials

/// How the last poll of a source went, and when the next one may be.
public struct SourceHealth: Sendable, Equatable, Codable {
  /// When the source last answered. While nothing else changes it is written down once an hour.
  public var lastContact: Date?
  /// Why it did not answer the last time; nil if it did.
  public var lastError: Failure?
  /// The missing part, as of the last contact; nil if it publishes a state.
  public var absent: Absence?
  /// How long the source is left alone, and why; nil if it is looked at at the next poll.
  public var backoff: Backoff?
  /// When the credentials that the source is shown end, if that is soon.
  public var credentialsExpire: Date?

  /// A poll, or a delivery, that failed.
  public struct Failure: Sendable, Equatable, Codable {
    /// Why, as a stable word.
    public var code: BackendError.Code
    /// Why, in words.
    public var message: String
    /// The kind of problem in the source's own words (``BackendError/problemType``).
    public var problem: String?
    /// When, by the device's clock.
    public var at: Date

    /// A failure, as of a time.
    public init(code: BackendError.Code, message: String, problem: String? = nil, at: Date) {
      self.code = code
      self.message = message
      self.problem = problem
      self.at = at
    }
  }

  /// A time during which something is not tried again.
  public struct Backoff: Sendable, Equatable, Codable {
    /// When it began. A clock that stands before this was set back, and the backoff is over.
    package var since: Date
    /// When it ends.
    public var until: Date
    /// How many times in a row it failed.
    public var failures: Int
    /// Whether the source asked for it.
    public var isAskedFor: Bool

    /// Whether it still holds at a time.
    package func holds(at now: Date) -> Bool { since <= now && now < until }

    /// The part that is news when it changes; nil if the source asked for nothing.
    var situation: Int? { isAskedFor ? min(failures, 4) : nil }
  }

  /// The part that is news when it changes; times alone are not.
  var situation: Situation {
    Situation(
      isKnown: lastContact != nil, error: lastError?.code, absent: absent?.part,
      isAskedForBackoff: backoff?.isAskedFor, failures: min(backoff?.failures ?? 0, 4),
      credentialsExpire: credentialsExpire)
  }

  struct Situation: Equatable {
    var isKnown: Bool
    var error: BackendError.Code?
    var absent: Absence.Part?
    var isAskedForBackoff: Bool?
    var failures: Int
    var credentialsExpire: Date?
  }
}

extension BackendError.Code: Codable {}
