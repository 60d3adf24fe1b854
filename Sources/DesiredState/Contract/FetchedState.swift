/// A state as it came from a source: nothing in it is trusted yet.
///
/// Everything that is known of it is here. A decorator that changes a part uses
/// ``replacing(manifest:signatures:documents:)``, which carries the rest.
public struct FetchedState: Sendable {
  /// The digest of `manifest`, computed here and never taken on a backend's word.
  public let revision: Revision
  /// The manifest's exact bytes.
  public let manifest: [UInt8]
  /// Whether `manifest` was made up by the backend because the source has none of its own.
  public let isSynthesised: Bool
  /// The armored SSH signatures that came with the manifest (one file may hold several), as they came.
  public let signatures: [[UInt8]]
  /// What else speaks for the state.
  public let evidence: [any StateEvidence]
  /// Where the state came from, in the source's own terms.
  public let origin: Origin
  /// Reads the documents.
  public let documents: any DocumentReader

  /// A state whose manifest is the publisher's.
  ///
  /// - Parameters:
  ///   - manifest: the manifest's exact bytes.
  ///   - signatures: armored SSH signatures over them.
  ///   - evidence: what else speaks for the state, given its revision.
  ///   - origin: what the source calls this state.
  ///   - documents: reads the documents.
  public init(
    manifest: [UInt8], signatures: [[UInt8]], evidence: (Revision) -> [any StateEvidence] = { _ in [] },
    origin: Origin = Origin(), documents: any DocumentReader
  ) {
    let revision = Revision(ofManifest: manifest)
    self.init(
      revision: revision, manifest: manifest, isSynthesised: false, signatures: signatures,
      evidence: evidence(revision), origin: origin, documents: documents)
  }

  /// A state of a source without a manifest: one is made from the list of its documents, without a version.
  ///
  /// - Parameters:
  ///   - references: the documents that are there.
  ///   - evidence: what speaks for the state, given its revision.
  ///   - origin: what the source calls this state.
  ///   - documents: reads the documents.
  public init(
    synthesisedFrom references: [DocumentReference], evidence: (Revision) -> [any StateEvidence] = { _ in [] },
    origin: Origin = Origin(), documents: any DocumentReader
  ) {
    let manifest = StateManifest(version: nil, documents: references).encoded()
    let revision = Revision(ofManifest: manifest)
    self.init(
      revision: revision, manifest: manifest, isSynthesised: true, signatures: [], evidence: evidence(revision),
      origin: origin, documents: documents)
  }

  private init(
    revision: Revision, manifest: [UInt8], isSynthesised: Bool, signatures: [[UInt8]],
    evidence: [any StateEvidence], origin: Origin, documents: any DocumentReader
  ) {
    self.revision = revision
    self.manifest = manifest
    self.isSynthesised = isSynthesised
    self.signatures = signatures
    self.evidence = evidence
    self.origin = origin
    self.documents = documents
  }

  /// The same state with some of its parts replaced, and everything else kept. Evidence stays with the manifest that it
  /// speaks for: with other bytes it counts for nothing.
  public func replacing(
    manifest: [UInt8]? = nil, signatures: [[UInt8]]? = nil, documents: (any DocumentReader)? = nil
  ) -> FetchedState {
    FetchedState(
      revision: manifest.map(Revision.init(ofManifest:)) ?? revision, manifest: manifest ?? self.manifest,
      isSynthesised: isSynthesised, signatures: signatures ?? self.signatures, evidence: evidence, origin: origin,
      documents: documents ?? self.documents)
  }
}
