import DesiredStateSupport

/// The situation of each source, as it was last told: a journal then has a line for each change, and not one for each poll.
struct Repetitions: Sendable {
  private struct Situation {
    var conclusion = ""
    var steps: Set<String> = []
  }
  private let told = LockedValue<[String: Situation]>([:])

  /// How a poll ends, and the steps on the way there, which are the same each time.
  private static let conclusions: Set = ["unchanged", "absent", "unavailable", "rejected"]
  private static let steps: Set = ["fetched", "verified", "held", "acknowledgement-failed"]

  /// Whether a line says what its source's last ones said.
  func isRepeated(_ event: EventLine) -> Bool {
    told.withLock { told in
      let text = event.text
      let source = event.source ?? ""
      if Self.conclusions.contains(event.event) {
        if told[source]?.conclusion == text { return true }
        told[source] = Situation(conclusion: text)
      } else if Self.steps.contains(event.event) {
        return !told[source, default: Situation()].steps.insert(text).inserted
      } else {
        told[source] = nil
      }
      return false
    }
  }
}
