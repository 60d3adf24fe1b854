import DesiredState
import FoundationEssentials

extension ConformanceCase {
  /// A key that changes what is trusted, and one that signs states: those of the N-th trust.
  private struct Generation {
    let number: UInt64
    var root: TestSigner { TestSigner("conformance-root-\(number)") }
    var release: TestSigner { TestSigner("conformance-release-\(number)") }
    var allowedSigners: String {
      root.allowedSigner(namespaces: [TrustUpdate.namespace]) + release.allowedSigner
    }

    /// The update that leads here, signed by these keys.
    func update(signedBy signers: [TestSigner], number: UInt64? = nil) -> TestPublication.TrustUpdateFile {
      let update = TrustUpdate(version: number ?? self.number, allowedSigners: allowedSigners).encoded()
      return TestPublication.TrustUpdateFile(
        number: self.number, update: update,
        signatures: signers.flatMap { $0.sign(update, namespace: TrustUpdate.namespace) })
    }
  }

  private static let generations = (0...70).map { Generation(number: UInt64($0)) }

  private static func honest(_ numbers: ClosedRange<Int>) -> [TestPublication.TrustUpdateFile] {
    numbers.map { generations[$0].update(signedBy: [generations[$0 - 1].root, generations[$0].root]) }
  }

  /// Law 20.
  func tryTrustUpdates() async throws {
    guard fixture.trust.requiresSignatures else {
      throw NotPossible("what its source says counts by its channel, and no keys are changed")
    }
    let generations = Self.generations
    let backend = try await makeBackend()
    var version: UInt64 = 0
    func publication(
      needing number: Int, by signer: TestSigner? = nil, _ files: [TestPublication.TrustUpdateFile]
    ) -> TestPublication {
      version += 1
      return TestPublication(
        version: version, documents: ["press": Array("recipe: \(version)".utf8)],
        signers: [signer ?? generations[number].release], trust: number == 0 ? nil : UInt64(number),
        trustUpdates: files)
    }
    let (before, new) = (generations[0], generations[1])
    try await expectStrangersToBeRefused(publication(needing: 0, by: new.release, []), by: backend)
    // First what must not be there: a source keeps files that were published once.
    let skipping = Self.honest(1...1) + [generations[3].update(signedBy: [new.root, generations[3].root])]
    try await expectRefusal(
      of: publication(needing: 3, skipping), by: backend, "a chain that lacks its second update")
    for (chain, signers) in [
      ("an update that only its own keys signed", [new.root]),
      ("an update that only the keys before it signed", [before.root]),
      ("an update that a key for states signed in place of one for trust", [before.release, new.root]),
    ] {
      let update = new.update(signedBy: signers)
      try await expectRefusal(of: publication(needing: 1, [update]), by: backend, chain)
    }
    var replayed = Self.honest(1...1)
    replayed.append(replayed[0])
    replayed[1].number = 2
    try await expectRefusal(
      of: publication(needing: 2, by: new.release, replayed), by: backend, "an earlier update in the place of the next")
    try await expectFollowing(publication(needing: 3, Self.honest(1...3)), by: backend)
    try await expectRefusal(
      of: publication(needing: 70, Self.honest(1...70)), by: backend, "more updates than are read at one poll")
  }

  /// Looks as a device that was set up with the first keys.
  private func admit(
    _ publication: TestPublication, by backend: any DesiredStateBackend
  ) async throws -> VerifiedState {
    try await publish(publication)
    let result = try await fetch(backend)
    guard case .changed(let state) = result.outcome else {
      throw Inconclusive(
        reason: "\(Law.firstFetch) was broken on the way: with a published state, fetch answered \(result.words)")
    }
    guard !state.isSynthesised else {
      throw NotPossible("without a manifest, nothing says which trust update a state needs")
    }
    guard state.revision == publication.revision else {
      throw Inconclusive(
        reason: "\(Law.newPublication) was broken on the way: fetch answered with another state than the published one")
    }
    let keys = try AllowedSigners(parsing: Self.generations[0].allowedSigners)
    let verifier = Verifier(policy: .signatures(by: keys), device: "conformance", now: Date())
    var following = verifier
    do {
      following = try await quickly("reading trust updates", within: operationTimeout * 4) {
        try await verifier.following(state)
      }
    } catch let error as VerificationError {
      // Asked all the same, the backend must say the same.
      _ = try await quickly("verify") { try await backend.verify(state, with: verifier) }
      throw Violation(expected: "verify refuses a state for which trust is refused (\(error))", happened: "it did not")
    }
    return try await quickly("verify") { [following] in try await backend.verify(state, with: following) }
  }

  /// Where this does not hold, nothing that follows says anything of trust updates.
  private func expectStrangersToBeRefused(
    _ publication: TestPublication, by backend: any DesiredStateBackend
  ) async throws {
    let broken = "\(Law.tampering) was broken on the way: a state that a stranger signed was"
    do {
      _ = try await admit(publication, by: backend)
    } catch let error as VerificationError {
      guard error.code == .signerUntrusted else { throw Inconclusive(reason: "\(broken) refused with \(error.code)") }
      return
    } catch let error as BackendError {
      throw Inconclusive(reason: "\(broken) not refused, but unavailable: \(error)")
    }
    throw Inconclusive(reason: "\(broken) admitted")
  }

  private func expectFollowing(_ publication: TestPublication, by backend: any DesiredStateBackend) async throws {
    let expected = "three trust updates that a state needs are read as they were published, and the state is admitted"
    do {
      let verified = try await admit(publication, by: backend)
      try expect(matches(verified, publication), expected, "another state was admitted")
    } catch let error as VerificationError {
      throw Violation(expected: expected, happened: "it was refused: \(error)")
    }
  }

  private func expectRefusal(
    of publication: TestPublication, by backend: any DesiredStateBackend, _ chain: String
  ) async throws {
    do {
      _ = try await admit(publication, by: backend)
    } catch let error as VerificationError {
      let allowed: Set<VerificationError.Code> = [.trustInvalid, .trustMissing, .signerUntrusted]
      try expect(
        allowed.contains(error.code), "\(chain) is refused with trust-invalid or trust-missing",
        "it was refused with \(error.code)")
      return
    } catch let broken as Violation {
      throw Violation(expected: "\(chain) leads nowhere: \(broken.expected)", happened: broken.happened)
    }
    throw Violation(expected: "\(chain) leads nowhere", happened: "the state that needs it was admitted")
  }
}
