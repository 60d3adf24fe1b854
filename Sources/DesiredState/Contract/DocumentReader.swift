/// Reads the documents of one fetched state, on demand and in pieces, so that memory stays flat whatever their size.
public protocol DocumentReader: Sendable {
  /// The bytes of a document in pieces, in order, as the source has them now; the reader checks the digest.
  ///
  /// - Throws: ``VerificationError`` with `document-missing` if the source does not have it (here or while iterating);
  ///   ``BackendError`` if the source cannot be reached; `CancellationError`.
  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error>

  /// The bytes of a document from an offset on, for a document that broke off there: a source that can continue does, one
  /// that cannot reads it from the beginning and passes over the bytes at hand. Which ones can says
  /// ``BackendCapabilities/resumes``. The digest is that of the whole, so a wrong end is noticed.
  ///
  /// - Throws: as ``open(_:)``.
  func open(_ document: DocumentReference, from offset: UInt64) async throws -> any AsyncSequence<[UInt8], any Error>

  /// The same documents in the order in which the source reads them most cheaply (an archive is read front to back).
  func readingOrder(of documents: [DocumentReference]) -> [DocumentReference]

  /// A text that tells whether the source's copy of a document has changed since it was last refused (a file's identity and
  /// change time, an ETag); nil if nothing does.
  func fingerprint(of document: DocumentReference) async -> String?
}

extension DocumentReader {
  /// The order in which they are given.
  public func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] { documents }
  /// Nothing tells.
  public func fingerprint(of document: DocumentReference) async -> String? { nil }

  public func open(
    _ document: DocumentReference, from offset: UInt64
  ) async throws -> any AsyncSequence<[UInt8], any Error> {
    DocumentTail(try await open(document), after: offset)
  }
}

/// What follows on the first bytes of a document.
struct DocumentTail: AsyncSequence {
  let bytes: any AsyncSequence<[UInt8], any Error>
  let offset: UInt64

  init(_ bytes: any AsyncSequence<[UInt8], any Error>, after offset: UInt64) {
    self.bytes = bytes
    self.offset = offset
  }

  struct AsyncIterator: AsyncIteratorProtocol {
    var bytes: any AsyncIteratorProtocol<[UInt8], any Error>
    var left: UInt64

    mutating func next() async throws -> [UInt8]? {
      while let piece = try await bytes.next(isolation: nil) {
        let passed = Swift.min(left, UInt64(piece.count))
        left -= passed
        if passed < piece.count { return Array(piece.dropFirst(Int(passed))) }
      }
      return nil
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(bytes: bytes.makeAsyncIterator(), left: offset) }
}

/// A document's bytes that are at hand in memory, as a sequence of pieces.
public struct DocumentBytes: AsyncSequence, Sendable {
  /// Bytes of a piece: a reader may rely on pieces that are small compared with a document.
  static let pieceSize = 256 << 10

  private let bytes: [UInt8]
  /// The bytes of one document.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  private struct Iterator: AsyncIteratorProtocol {
    var remaining: ArraySlice<UInt8>
    mutating func next() async throws -> [UInt8]? {
      guard !remaining.isEmpty else { return nil }
      defer { remaining = remaining.dropFirst(DocumentBytes.pieceSize) }
      return Array(remaining.prefix(DocumentBytes.pieceSize))
    }
  }

  public func makeAsyncIterator() -> some AsyncIteratorProtocol<[UInt8], any Error> {
    Iterator(remaining: bytes[...])
  }
}
