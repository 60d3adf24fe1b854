import DesiredState

extension ConformanceCase {
  /// Law 14.
  func tryRestart() async throws {
    let (seen, source) = try await adoptAndStop()
    let again = try await makeBackend()
    try expect(
      again.source == source, "a backend made anew calls its source what the one before called it",
      "it was '\(source)' and is '\(again.source)'")
    let result = try await fetch(again, after: seen)
    guard case .unchanged = result.outcome else {
      throw Violation(
        expected: "a backend made anew, given the revision and the marker of the one before, answers unchanged",
        happened: "it answered \(result.words)")
    }

    try await publish(.second)
    let third = try await makeBackend()
    let second = try await expectChanged(
      try await fetch(third, after: seen), to: .second, from: third,
      when: "when a state was published before the backend was made anew")
    for document in second.documents {
      let bytes = try await bytes(of: document, in: second.verified)
      try expect(
        bytes == TestPublication.second.documents[document.id],
        "a backend made anew reads document '\(document.id)' of the new state", "other bytes came")
    }
  }

  /// Adopts the first state with a backend that is gone when this returns.
  private func adoptAndStop() async throws -> (Seen, String) {
    let backend = try await makeBackend()
    return (try await adopt(.first, from: backend), backend.source)
  }
}
