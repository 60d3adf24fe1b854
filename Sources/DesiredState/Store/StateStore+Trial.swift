import FoundationEssentials

/// An applied state that must prove itself.
extension StateStore {
  var trial: TrialRecord? { record.trial }

  /// The state to go back to if the one on trial fails; nil if none is kept.
  var trialFallback: AdoptedState? {
    guard let trial = record.trial else { return nil }
    return record.history.first { $0.state.revision == trial.fallback && $0.state.revision != trial.revision }?.state
  }

  /// Lets the trial begin anew.
  func restartTrial(at time: Date) throws { try change { $0.trial?.since = time } }

  /// Notes that the state on trial has proved itself, or that it has not, and there is nothing to go back to.
  func endTrial(
    at time: Date, failure: String? = nil, acknowledging acknowledgements: [Acknowledgement] = []
  ) throws {
    guard let trial = record.trial else { return }
    try change(saying: acknowledgements) { record in
      record.trial = nil
      record.setOutcome(failure == nil ? .applied : .failed, of: trial.revision, at: time, reason: failure)
    }
    collectGarbageIfPossible()
  }
}

extension StoreRecord {
  /// Begins the trial of a state that is applied now, or ends that of the one before (nil). Called before `applied`
  /// changes.
  mutating func beginTrial(_ revision: Revision?, at time: Date) {
    guard let revision else {
      trial = nil
      return
    }
    if trial?.revision == revision { return }
    // What did not prove itself yet is nothing to go back to.
    trial = TrialRecord(revision: revision, since: time, fallback: trial.map(\.fallback) ?? applied?.revision)
  }
}
