import DesiredState
import DesiredStateTesting
import FoundationEssentials
import Testing

/// Every refusal of the verifier, each for a state that is right but for one thing.
@Suite struct VerifierTests {
  let ops = TestSigner("ops@plant.example")
  let now = Date(timeIntervalSince1970: 1_800_000_000)

  private func state(_ publication: TestPublication, evidence: [any StateEvidence] = []) -> FetchedState {
    FetchedState(
      manifest: publication.manifest, signatures: publication.signatures.isEmpty ? [] : [publication.signatures],
      evidence: { _ in evidence }, documents: NoDocuments())
  }

  private func publication(
    _ version: UInt64 = 7, _ documents: [String: String] = ["press": "recipe: 7"], device: String? = nil,
    issued: Date? = nil, expires: Date? = nil, signers: [TestSigner]? = nil
  ) -> TestPublication {
    TestPublication(
      version: version, documents: documents.mapValues { Array($0.utf8) }, device: device, issued: issued,
      expires: expires, signers: signers ?? [ops])
  }

  private func verifier(
    _ policy: TrustPolicy? = nil, floor: VersionFloor? = nil, requiresSuccessor: Bool = false, now: Date? = nil,
    newestSigned: Date? = nil, limits: Limits = Limits()
  ) -> Verifier {
    Verifier(
      policy: policy ?? TestSigner.policy([ops]), device: "press-42", floor: floor,
      requiresSuccessor: requiresSuccessor, now: now ?? self.now, newestSigned: newestSigned, limits: limits)
  }

  private func refusal(
    _ state: FetchedState, _ verifier: Verifier, at location: SourceLocation = #_sourceLocation
  ) -> VerificationError? {
    do {
      _ = try verifier.admit(state)
      Issue.record("the state was admitted", sourceLocation: location)
      return nil
    } catch {
      return error
    }
  }

  private func floor(_ version: UInt64, _ publication: TestPublication? = nil) -> VersionFloor {
    VersionFloor(version: version, revision: (publication ?? self.publication(version)).revision)
  }

  @Test("A state that is right in everything is admitted, and says who signed it") func admitted() throws {
    let publication = publication(
      device: "press-42", issued: now.addingTimeInterval(-60), expires: now.addingTimeInterval(60))
    let verified = try verifier(floor: floor(6)).admit(state(publication))
    #expect(verified.manifest.version == 7)
    #expect(verified.signers.map(\.principals) == [["ops@plant.example"]])
    #expect(verified.revision == publication.revision)
  }

  // MARK: - Evidence

  @Test("Without a signature: signature-missing, which may be over soon") func unsigned() throws {
    let error = try #require(refusal(state(publication(signers: [])), verifier()))
    #expect(error.code == .signatureMissing && error.isTransient)
  }

  @Test("With a signature over other bytes, or one that cannot be read: signature-invalid") func invalid() throws {
    let other = publication(8)
    let mixed = TestPublication(
      version: 7, documents: [:], manifest: publication().manifest, signatures: other.signatures)
    #expect(refusal(state(mixed), verifier())?.code == .signatureInvalid)
    let torn = TestPublication(
      version: 7, documents: [:], manifest: publication().manifest, signatures: Array("no signature".utf8))
    #expect(refusal(state(torn), verifier())?.code == .signatureInvalid)
  }

  @Test("With the signature of a stranger: signer-untrusted, with the key as evidence") func stranger() throws {
    let error = try #require(refusal(state(publication(signers: [TestSigner("stranger")])), verifier()))
    #expect(error.code == .signerUntrusted)
    #expect(error.evidence.contains { $0.contains("SHA256:") })
  }

  @Test("With a signature for another namespace: refused") func namespace() throws {
    let publication = publication(signers: [])
    let signed = TestPublication(
      version: 7, documents: [:], manifest: publication.manifest,
      signatures: ops.sign(publication.manifest, namespace: "git"))
    #expect([.signatureInvalid, .signerUntrusted].contains(refusal(state(signed), verifier())?.code))
  }

  @Test("One key counts once, however often it signed: threshold-not-met") func threshold() throws {
    let second = TestSigner("second@plant.example")
    let policy = TestSigner.policy([ops, second])
    #expect(refusal(state(publication(signers: [ops])), verifier(policy))?.code == .thresholdNotMet)
    #expect(refusal(state(publication(signers: [ops, ops])), verifier(policy))?.code == .thresholdNotMet)
    #expect(try verifier(policy).admit(state(publication(signers: [ops, second]))).signers.count == 2)
  }

  @Test("A threshold below one is one: it admits nothing that is unsigned", arguments: [0, -1, Int.min])
  func noThreshold(threshold: Int) throws {
    let policy = TrustPolicy.signatures(
      by: try AllowedSigners(parsing: ops.allowedSigner), threshold: threshold)
    #expect(refusal(state(publication(signers: [])), verifier(policy))?.code == .signatureMissing)
    #expect(try verifier(policy).admit(state(publication())).signers.count == 1)
  }

  @Test("The channel policy asks for a channel, and for one that gave this state") func channel() throws {
    let publication = publication(signers: [])
    #expect(refusal(state(publication), verifier(.channel))?.code == .signatureMissing)
    let other = AuthenticatedChannel("mutual TLS", gave: self.publication(8).revision)
    #expect(refusal(state(publication, evidence: [other]), verifier(.channel))?.code == .signatureMissing)
    let channel = AuthenticatedChannel("mutual TLS", gave: publication.revision)
    #expect(try verifier(.channel).admit(state(publication, evidence: [channel])).channels == ["mutual TLS"])
    // A channel is no signature.
    #expect(refusal(state(publication, evidence: [channel]), verifier())?.code == .signatureMissing)
  }

  @Test("The unsigned policy admits what nothing speaks for") func unsignedPolicy() throws {
    #expect(try verifier(.unsigned).admit(state(publication(signers: []))).signers.isEmpty)
  }

  @Test("Evidence that refuses is heard under every policy", arguments: ["signatures", "channel", "unsigned"])
  func refusingEvidence(policy: String) throws {
    let policies = ["signatures": TestSigner.policy([ops]), "channel": .channel, "unsigned": .unsigned]
    let publication = publication()
    let state = state(publication, evidence: [Refusing(revision: publication.revision)])
    #expect(refusal(state, verifier(policies[policy]))?.code == .historyRewritten)
  }

  @Test("A state without a version must be shown to follow on one that came with a history") func succession() throws {
    let documents = [DocumentReference(id: "press", digest: .of("1".utf8))]
    let bare = FetchedState(synthesisedFrom: documents, documents: NoDocuments())
    #expect(refusal(bare, verifier(.unsigned, requiresSuccessor: true))?.code == .historyRewritten)
    _ = try verifier(.unsigned).admit(bare)
    let following = FetchedState(
      synthesisedFrom: documents, evidence: { [Following(revision: $0)] }, documents: NoDocuments())
    _ = try verifier(.unsigned, requiresSuccessor: true).admit(following)
  }

  // MARK: - Version

  @Test("Below the floor: version-rollback") func rollback() throws {
    let error = try #require(refusal(state(publication(6)), verifier(floor: floor(7))))
    #expect(error.code == .versionRollback && error.version == 6)
    // The refusal of a signed state says whose it is.
    #expect(error.evidence.contains { $0.contains("ops@plant.example") })
  }

  @Test("The floor's version again is admitted, with other bytes it is version-equivocation") func equivocation() throws
  {
    _ = try verifier(floor: floor(7)).admit(state(publication(7)))
    let other = publication(7, ["press": "recipe: 8"])
    #expect(refusal(state(other), verifier(floor: floor(7)))?.code == .versionEquivocation)
  }

  @Test("Too far above the floor, or too high for a first version: version-jump") func jump() throws {
    let step: UInt64 = 1 << 40
    _ = try verifier(floor: floor(7)).admit(state(publication(7 + step)))
    #expect(refusal(state(publication(8 + step)), verifier(floor: floor(7)))?.code == .versionJump)
    _ = try verifier().admit(state(publication(1 << 63)))
    #expect(refusal(state(publication((1 << 63) + 1)), verifier())?.code == .versionJump)
    #expect(refusal(state(publication(.max)), verifier(floor: floor(7)))?.code == .versionJump)
  }

  // MARK: - Audience and time

  @Test("For another device: wrong-device") func device() throws {
    #expect(refusal(state(publication(device: "press-43")), verifier())?.code == .wrongDevice)
    #expect(refusal(state(publication(device: "Press-42")), verifier())?.code == .wrongDevice)
  }

  @Test("After its time, and at the very moment: expired") func expired() throws {
    #expect(refusal(state(publication(expires: now)), verifier())?.code == .expired)
    #expect(refusal(state(publication(expires: now.addingTimeInterval(-1))), verifier())?.code == .expired)
    _ = try verifier().admit(state(publication(expires: now.addingTimeInterval(1))))
    // A clock behind the newest signed time is known to be wrong.
    let late = verifier(now: now.addingTimeInterval(-3600), newestSigned: now)
    #expect(refusal(state(publication(expires: now.addingTimeInterval(-60))), late)?.code == .expired)
  }

  // MARK: - Manifest and documents

  @Test("Signed, and no manifest: manifest-malformed", arguments: ["", "{}", "[]", "{\"manifestVersion\": 0}"])
  func malformed(text: String) throws {
    let manifest = Array(text.utf8)
    let signed = TestPublication(version: 1, documents: [:], manifest: manifest, signatures: ops.sign(manifest))
    #expect(refusal(state(signed), verifier())?.code == .manifestMalformed)
  }

  @Test("Nothing is parsed before a trusted key has signed it") func order() throws {
    let broken = TestPublication(version: 1, documents: [:], manifest: Array("{".utf8), signatures: [])
    #expect(refusal(state(broken), verifier())?.code == .signatureMissing)
  }

  @Test("An id that cannot be a file's name, alone or beside another: unsafe-document-id") func unsafe() throws {
    for documents in [["../x": ""], ["a": "", "a/b": ""], ["Press": "", "press": ""]] {
      #expect(refusal(state(publication(7, documents)), verifier())?.code == .unsafeDocumentID, "\(documents)")
    }
  }

  @Test("One id twice: duplicate-document") func duplicate() throws {
    let reference = DocumentReference(id: "press", digest: .of("1".utf8))
    let manifest = StateManifest(version: 7, documents: [reference, reference]).encoded()
    let signed = TestPublication(version: 7, documents: [:], manifest: manifest, signatures: ops.sign(manifest))
    #expect(refusal(state(signed), verifier())?.code == .duplicateDocument)
  }

  @Test("A digest of another kind: unsupported-digest") func digest() throws {
    let text = #"{"manifestVersion": 1, "deployments": [{"deploymentId": "a", "digest": "sha512:00", "url": "a"}]}"#
    let signed = TestPublication(
      version: 1, documents: [:], manifest: Array(text.utf8), signatures: ops.sign(Array(text.utf8)))
    #expect(refusal(state(signed), verifier())?.code == .unsupportedDigest)
  }

  @Test("Over a limit: limit-exceeded") func limits() throws {
    let two = state(publication(7, ["a": "1234", "b": "5678"]))
    _ = try verifier(limits: Limits(documentCount: 2, documentSize: 4, totalSize: 8)).admit(two)
    for limits in [Limits(manifestSize: 10), Limits(documentCount: 1)] {
      #expect(refusal(two, verifier(limits: limits))?.code == .limitExceeded, "\(limits)")
    }
    // What a manifest says of sizes is no reason; the bytes are counted as they are read.
    for limits in [Limits(documentSize: 3), Limits(totalSize: 7)] {
      _ = try verifier(limits: limits).admit(two)
    }
  }

  // MARK: - Evidence of the tests

  private struct NoDocuments: DocumentReader {
    func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> { DocumentBytes([]) }
  }

  private struct Refusing: StateEvidence {
    let revision: Revision
    func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] {
      throw VerificationError(.historyRewritten, "the branch was rewritten")
    }
  }

  private struct Following: StateEvidence {
    let revision: Revision
    func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] { [.successor] }
  }
}
