import DesiredState

extension ConformanceCase {
  /// How long a fetch may take when the kit sets it a deadline, and how much later it may say that it missed it.
  private static let deadline: Duration = .milliseconds(500)
  private static let grace: Duration = .seconds(4)

  /// Law 6.
  func tryUnreachable() async throws {
    let backend = try await makeBackend()
    let fresh = try await makeBackend()
    let seen = try await adopt(.first, from: backend)
    try await arrange("make its source unreachable") { try await $0.makeUnreachable() }
    try await expectFailure(backend, after: seen, when: "while the source cannot be reached, with a current revision")
    try await expectFailure(backend, after: nil, when: "while the source cannot be reached, with no current revision")
    try await expectFailure(fresh, after: seen, when: "while the source cannot be reached, asked for the first time")
    try await arrange("make its source reachable") { try await $0.makeReachable() }
    try await expectUsable(backend, after: seen, when: "when the source is back")

    try await part("a source that does not answer") {
      try await arrange("stall its source") { try await $0.stall() }
      try await expectFailure(backend, after: seen, when: "while the source does not answer, with a current revision")
      try await expectFailure(backend, after: nil, when: "while the source does not answer, with no current revision")
      try await arrange("resume its source") { try await $0.resume() }
      try await expectUsable(backend, after: seen, when: "when the source answers again")
    }
  }

  private func expectFailure(_ backend: any DesiredStateBackend, after current: Seen?, when: String) async throws {
    let expected = "\(when), fetch throws a BackendError before its deadline of \(Self.deadline)"
    let request = FetchRequest(current: current?.revision, marker: current?.marker, timeout: Self.deadline)
    do {
      let result = try await Limited.run(Self.deadline + Self.grace) { try await backend.fetch(request) }
      throw Violation(expected: expected, happened: "it answered \(result.words)")
    } catch is BackendError {
      // As it should.
    } catch is Limited.Exceeded {
      throw Violation(expected: expected, happened: "it was still running \(Self.grace) after the deadline")
    } catch let broken as Violation {
      throw broken
    } catch {
      throw Violation(expected: expected, happened: "it threw \(type(of: error)): \(error)")
    }
  }
}
