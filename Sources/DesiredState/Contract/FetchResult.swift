/// What a look at a source found.
public struct FetchResult: Sendable {
  public enum Outcome: Sendable {
    /// The source still publishes ``FetchRequest/current``.
    case unchanged
    /// The source was reached and publishes nothing. Never a reason to remove anything.
    case absent
    /// The source publishes another state, or the same one with new evidence that is to be verified (another commit).
    case changed(FetchedState)
  }

  public var outcome: Outcome
  /// Where this result stands in the source's own terms (an ETag, a commit id). The store keeps it with the source
  /// and gives it back in the next ``FetchRequest``, across restarts; nobody but the backend reads it. It must not
  /// stand for something else when the source is made anew: bind it to the revision, and to what makes the source this one.
  public var marker: String?
  /// The source asks not to be looked at again before this much time has passed.
  public var retryAfter: Duration?

  public init(_ outcome: Outcome, marker: String? = nil, retryAfter: Duration? = nil) {
    self.outcome = outcome
    self.marker = marker
    self.retryAfter = retryAfter
  }

  public static var unchanged: FetchResult { FetchResult(.unchanged) }
  public static var absent: FetchResult { FetchResult(.absent) }
  public static func changed(_ state: FetchedState) -> FetchResult { FetchResult(.changed(state)) }
}

/// A state as it came from a source: nothing in it is trusted yet.
public struct FetchedState: Sendable {
  /// The digest of `manifest`, computed here and never taken on a backend's word.
  public let revision: Revision
  /// The manifest's exact bytes.
  public let manifest: [UInt8]
  /// Whether `manifest` was made up by the backend because the source has none of its own.
  public let isSynthesised: Bool
  /// The armored SSH signatures that came with the manifest (one file may hold several), as they came.
  public let signatures: [[UInt8]]
  /// Reads the documents.
  public let documents: any DocumentReader

  /// A state whose manifest is the publisher's.
  public init(manifest: [UInt8], signatures: [[UInt8]], documents: any DocumentReader) {
    self.init(manifest: manifest, isSynthesised: false, signatures: signatures, documents: documents)
  }

  /// A state of a source without a manifest: one is made from the list of its documents, without a version.
  public init(synthesisedFrom references: [DocumentReference], documents: any DocumentReader) {
    self.init(
      manifest: StateManifest(version: nil, documents: references).encoded(), isSynthesised: true, signatures: [],
      documents: documents)
  }

  private init(manifest: [UInt8], isSynthesised: Bool, signatures: [[UInt8]], documents: any DocumentReader) {
    revision = Revision(ofManifest: manifest)
    self.manifest = manifest
    self.isSynthesised = isSynthesised
    self.signatures = signatures
    self.documents = documents
  }
}
