/// A state that passed every check. Only ``Verifier/admit(_:endorsements:)`` makes one.
public struct VerifiedState: Sendable {
  public let revision: Revision
  /// The manifest, parsed from `manifestBytes`.
  public let manifest: StateManifest
  /// The exact bytes that were verified.
  public let manifestBytes: [UInt8]
  /// Whose signatures counted; empty under a policy that asks for none.
  public let signers: [Signer]
  /// Channels that vouched, in words.
  public let channels: [String]
  private let reader: any DocumentReader
  private let limits: Limits

  init(
    fetched: FetchedState, manifest: StateManifest, signers: [Signer], channels: [String], limits: Limits
  ) {
    revision = fetched.revision
    self.manifest = manifest
    manifestBytes = fetched.manifest
    self.signers = signers
    self.channels = channels
    reader = fetched.documents
    self.limits = limits
  }

  /// A document's bytes, checked while they pass: reading to the end without an error means that they are the
  /// document. Until then nothing may be done with them but put aside.
  ///
  /// - Throws: ``VerificationError`` with `document-missing`, and while iterating `digest-mismatch` or
  ///   `limit-exceeded`; ``BackendError``; `CancellationError`.
  public func open(_ document: DocumentReference) async throws -> VerifiedBytes {
    do {
      return VerifiedBytes(document: document, bytes: try await reader.open(document), limit: limits.documentSize)
    } catch {
      throw BackendError.contractual(error, of: "document '\(document.id)'")
    }
  }

  /// The documents in the order in which the source reads them most cheaply.
  public func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    reader.readingOrder(of: documents)
  }

  /// See ``DocumentReader/fingerprint(of:)``.
  public func fingerprint(of document: DocumentReference) async -> String? {
    await reader.fingerprint(of: document)
  }
}

/// A document's bytes on their way, digested and counted as they pass.
public struct VerifiedBytes: AsyncSequence {
  let document: DocumentReference
  let bytes: any AsyncSequence<[UInt8], any Error>
  let limit: UInt64

  public struct AsyncIterator: AsyncIteratorProtocol {
    let document: DocumentReference
    let limit: UInt64
    var bytes: any AsyncIteratorProtocol<[UInt8], any Error>
    var hasher = Digest.Hasher()
    var count: UInt64 = 0

    public mutating func next() async throws -> [UInt8]? {
      try await next(isolation: nil)
    }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
      let next: [UInt8]?
      do {
        next = try await bytes.next(isolation: actor)
      } catch {
        throw BackendError.contractual(error, of: "document '\(document.id)'")
      }
      guard let chunk = next else {
        let digest = hasher.finalize()
        guard digest == document.digest else {
          throw refusal(
            .digestMismatch,
            "document '\(document.id)' has digest \(digest), the manifest says \(document.digest); publish it again")
        }
        return nil
      }
      count += UInt64(chunk.count)
      guard count <= limit else {
        throw refusal(.limitExceeded, "document '\(document.id)' is longer than the limit of \(limit) bytes")
      }
      hasher.update(chunk)
      return chunk
    }

    private func refusal(_ code: VerificationError.Code, _ reason: String) -> VerificationError {
      var error = VerificationError(code, reason, evidence: ["document \(document.id)"])
      error.document = document
      return error
    }
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(document: document, limit: limit, bytes: bytes.makeAsyncIterator())
  }
}
