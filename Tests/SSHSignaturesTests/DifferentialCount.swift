import Testing

/// How often this library and ssh-keygen say the same of one case, and why not where they do not.
struct DifferentialCount {
  private(set) var agreed = (accepted: 0, refused: 0)
  private(set) var stricter: [String: Int] = [:]
  private(set) var disagreed: [String] = []

  /// - Parameters:
  ///   - refusal: why it is refused here, or nil where it is accepted.
  ///   - intended: for a case that is refused here alone, the known reason for that, or nil.
  mutating func add(
    _ name: @autoclosure () -> String, refusal: String?, sshKeygenAccepts: Bool, intended: (String) -> String?
  ) {
    switch (refusal, sshKeygenAccepts) {
    case (nil, true): agreed.accepted += 1
    case (_?, false): agreed.refused += 1
    case (let refusal?, true):
      if let reason = intended(refusal) {
        stricter[reason, default: 0] += 1
      } else {
        disagreed.append("\(name()): refused here alone: \(refusal)")
      }
    case (nil, false): disagreed.append("\(name()): accepted here alone")
    }
  }

  /// Prints the counts, and fails for each case that disagrees.
  func report(_ title: String) {
    print("\(title): agree \(agreed.accepted) accepted, \(agreed.refused) refused; disagree \(disagreed.count)")
    for (reason, count) in stricter.sorted(by: { $0.key < $1.key }) {
      print("  stricter by intention: \(count) × \(reason)")
    }
    for one in disagreed.prefix(20) { Issue.record("\(one)") }
    #expect(disagreed.isEmpty, "\(title)")
  }
}
