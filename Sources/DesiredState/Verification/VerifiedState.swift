import DesiredStateSupport

/// A state that passed every check. Only ``Verifier/admit(_:)`` makes one.
public struct VerifiedState: Sendable {
  /// The digest of the manifest.
  public let revision: Revision
  /// The manifest, parsed from `manifestBytes`.
  public let manifest: StateManifest
  /// The exact bytes that were verified.
  let manifestBytes: [UInt8]
  /// Whose signatures counted; empty under a policy that asks for none.
  public let signers: [Signer]
  /// Channels that vouched, in words.
  public let channels: [String]
  /// Where it came from, in the source's own terms.
  public let origin: Origin
  /// Whether its source keeps a history that shows what it follows on.
  let hasHistory: Bool
  private let reader: any DocumentReader
  private let limits: Limits

  init(
    fetched: FetchedState, manifest: StateManifest, findings: Verifier.Findings, limits: Limits
  ) {
    revision = fetched.revision
    self.manifest = manifest
    manifestBytes = fetched.manifest
    signers = findings.signers
    channels = findings.channels
    origin = fetched.origin
    hasHistory = findings.isSuccessor
    reader = fetched.documents
    self.limits = limits
  }

  /// A document's bytes, checked while they pass: reading to the end without an error means that they are the
  /// document. Until then nothing may be done with them but put aside.
  ///
  /// - Throws: ``VerificationError`` with `document-missing`, and while iterating `digest-mismatch` or
  ///   `limit-exceeded`; ``BackendError``; `CancellationError`.
  public func open(_ document: DocumentReference) async throws -> some AsyncSequence<[UInt8], any Error> {
    try await open(document, after: DocumentHead())
  }

  /// The rest of a document of which the first bytes are here. At the end the digest is that of both together.
  func open(_ document: DocumentReference, after head: DocumentHead) async throws -> VerifiedBytes {
    do {
      let bytes =
        head.count > 0 ? try await reader.open(document, from: head.count) : try await reader.open(document)
      return VerifiedBytes(document: document, bytes: bytes, limit: limits.documentSize, head: head)
    } catch {
      throw BackendError.contractual(error, of: "document \(quoted(document.id))")
    }
  }

  /// The documents in the order in which the source reads them most cheaply.
  public func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    reader.readingOrder(of: documents)
  }

  /// See ``DocumentReader/fingerprint(of:)``.
  func fingerprint(of document: DocumentReference) async -> String? {
    await reader.fingerprint(of: document)
  }
}
