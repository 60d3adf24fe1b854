public import FoundationEssentials

/// One of the states that a device adopted and still keeps.
public struct HistoryEntry: Sendable, Equatable, Codable {
  /// The state.
  public var state: AdoptedState
  /// How applying it went.
  public var outcome: Outcome
  /// When the outcome came about; when it was adopted, if none has yet.
  public var at: Date
  /// Why it failed or was rolled back, in words.
  public var reason: String?

  /// How applying a state went. Open: later versions may add their own.
  public struct Outcome: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// It is durable, and was not applied yet.
    public static let adopted = Outcome(rawValue: "adopted")
    /// The agent put it to work.
    public static let applied = Outcome(rawValue: "applied")
    /// The agent could not put it to work, or its trial failed.
    public static let failed = Outcome(rawValue: "failed")
    /// It was applied, and the device went back to another.
    public static let rolledBack = Outcome(rawValue: "rolled-back")
  }
}

/// The device went back to an earlier state, and stays there until a newer version is published or it is told to resume.
public struct Rollback: Sendable, Equatable, Codable {
  /// The state it went back from. Its revision is not adopted again while this is in force.
  public var from: AdoptedState
  /// The revision it went back to: the adopted one.
  var to: Revision
  /// Since when.
  public var since: Date
  /// Why: `operator` if it was asked for, `trial-failed` if the state did not pass its trial.
  public var code: String
  /// Why, in words.
  public var reason: String
}

/// The trial that an applied state is on.
struct TrialRecord: Sendable, Equatable, Codable {
  var revision: Revision
  /// When it began.
  var since: Date
  /// The last state that is known to be good: the one to go back to.
  var fallback: Revision?
}

/// The agent's unfinished work on the adopted state.
public struct ApplyAttempt: Sendable, Equatable, Codable {
  /// The state that is applied.
  public var revision: Revision
  /// When the first try began.
  public var since: Date
  /// How many tries have failed.
  public var failures: Int
  /// Why the last one failed, in words.
  public var reason: String?
  /// When the last one failed.
  public var failedAt: Date?
  /// When the next try may be, if it is to wait.
  public var notBefore: Date?
}

/// What an operator reset by hand.
package struct ResetRecord: Sendable, Equatable, Codable {
  /// When, by the device's clock.
  package var at: Date
  /// The reset parts, in words.
  package var what: [String]
  /// The state that was the adopted one then; nil if there was none.
  package var adopted: Revision?
}
