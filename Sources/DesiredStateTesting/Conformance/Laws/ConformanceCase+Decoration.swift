import DesiredState
import FoundationEssentials

extension ConformanceCase {
  /// Law 17.
  func tryDecoration() async throws {
    let bare = try await makeBackend()
    let decorated: any DesiredStateBackend = Self.decorated(try await makeBackend())
    try await publish(.first)
    let seen = try await expectSameVerdicts(bare, decorated, after: nil, when: "with no current revision")
    try await part("the origin") {
      guard let seen else { return }
      try expect(
        seen.fetched.origin != Origin(), "a fetched state says where it came from, in its origin", "its origin is empty"
      )
      try expect(
        seen.verified.origin == seen.fetched.origin, "a verified state has the origin that it was fetched with",
        "it was fetched with '\(seen.fetched.origin)' and verified with '\(seen.verified.origin)'")
    }
    try await publish(.second)
    _ = try await expectSameVerdicts(bare, decorated, after: seen, when: "after a new publication")
    try await part("a changed document") {
      try await arrange("corrupt document 'press'") { try await $0.corrupt(.document("press")) }
      _ = try await expectSameVerdicts(bare, decorated, after: seen, when: "after a document was changed")
    }
  }

  /// Two decorators, one of them a fault that never strikes. Opens the existential: they are generic.
  private static func decorated(_ backend: some DesiredStateBackend) -> any DesiredStateBackend {
    FlakyBackend(PassThroughBackend(backend), failing: 0, seed: 17)
  }

  /// Fetches and verifies through both, under every kind of policy.
  ///
  /// - Returns: the state as the bare backend gave it under the fixture's own policy.
  private func expectSameVerdicts(
    _ bare: any DesiredStateBackend, _ decorated: any DesiredStateBackend, after current: Seen?, when: String
  ) async throws -> Seen? {
    let stranger = TestSigner.policy([TestSigner("stranger@desired-state.example")])
    let policies: [(String, TrustPolicy)] = [
      ("the fixture's own policy", fixture.trust), ("a policy that trusts another key", stranger),
      ("the channel policy", .channel), ("the unsigned policy", .unsigned),
    ]
    var seen: Seen?
    for (name, policy) in policies {
      // Whether a state follows on the adopted one is evidence as well.
      for requiresSuccessor in [false, true] {
        let verifier = Verifier(
          policy: policy, device: "conformance", requiresSuccessor: requiresSuccessor, now: Date())
        let expected = try await verdict(of: bare, after: current, verifier: verifier)
        let found = try await verdict(of: decorated, after: current, verifier: verifier)
        try expect(
          expected.words == found.words,
          "\(when), under \(name)\(requiresSuccessor ? " for a device that follows a history" : ""), a pass-through decorator changes nothing: \(expected.words)",
          "decorated, it is: \(found.words)")
        if name == policies[0].0, !requiresSuccessor { seen = expected.seen }
      }
    }
    return seen
  }

  /// What an agent that has adopted `current` makes of a backend's state.
  private func verdict(
    of backend: any DesiredStateBackend, after current: Seen?, verifier: Verifier
  ) async throws -> (words: String, seen: Seen?) {
    let request = FetchRequest(
      current: current?.revision, marker: current?.marker, timeout: Self.timeout, verifier: verifier)
    do {
      let result = try await quickly("fetch") { try await backend.fetch(request) }
      guard case .changed(let state) = result.outcome else { return (result.words, nil) }
      let verified = try await quickly("verify") { try await backend.verify(state, with: verifier) }
      let signers = verified.signers.map(\.description).sorted().joined(separator: ", ")
      let channels = verified.channels.joined(separator: ", ")
      return (
        "adopted, signed by [\(signers)], over [\(channels)], from '\(verified.origin)'",
        Seen(fetched: state, verified: verified, marker: result.marker)
      )
    } catch let error as VerificationError {
      return ("refused with \(error.code)", nil)
    } catch let error as BackendError {
      return ("failed with \(error.code)", nil)
    }
  }
}
