import DesiredState
import FoundationEssentials
import Testing

@Suite struct FetchedStateTests {
  private struct Reader: DocumentReader {
    let text: String
    func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
      DocumentBytes(Array(text.utf8))
    }
  }

  private let manifest = StateManifest(version: 7, documents: []).encoded()
  private let origin = Origin(path: "/mnt/usb/drop")

  private var state: FetchedState {
    FetchedState(
      manifest: manifest, signatures: [[1]], evidence: { [AuthenticatedChannel("TLS", gave: $0)] }, origin: origin,
      documents: Reader(text: "one"))
  }

  @Test("The revision is the digest of the manifest's bytes, and evidence is made for it") func revision() {
    #expect(state.revision == Revision(ofManifest: manifest))
    #expect(state.evidence.map(\.revision) == [state.revision])
    #expect(!state.isSynthesised)
  }

  @Test("What is not replaced stays: evidence and origin always do") func replacing() async throws {
    let other = state.replacing(documents: Reader(text: "two"))
    #expect(other.signatures == [[1]] && other.origin == origin && other.evidence.count == 1)
    #expect(other.revision == state.revision && other.manifest == manifest)
    let document = DocumentReference(id: "a", digest: .of([]))
    for try await piece in try await other.documents.open(document) { #expect(piece == Array("two".utf8)) }
    #expect(state.replacing(signatures: []).evidence.count == 1)
  }

  @Test("Evidence for other bytes counts for nothing") func replacedManifest() {
    let other = state.replacing(manifest: StateManifest(version: 8, documents: []).encoded())
    #expect(other.revision != state.revision)
    #expect(other.evidence.map(\.revision) == [state.revision])
    #expect(throws: VerificationError.self) {
      try Verifier(policy: .channel, device: "press-42", now: Date()).admit(other)
    }
    #expect(throws: Never.self) { try Verifier(policy: .channel, device: "press-42", now: Date()).admit(state) }
  }

  @Test("A synthesised manifest has no version, and the same documents have the same revision") func synthesised()
    throws
  {
    let documents = ["press", "belt"].map { DocumentReference(id: $0, digest: .of($0.utf8)) }
    let state = FetchedState(synthesisedFrom: documents, documents: Reader(text: ""))
    #expect(state.isSynthesised && state.signatures.isEmpty)
    #expect(try StateManifest(parsing: state.manifest, requiresVersion: false).version == nil)
    #expect(FetchedState(synthesisedFrom: documents, documents: Reader(text: "x")).revision == state.revision)
  }
}
