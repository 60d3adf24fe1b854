import DesiredStateSupport

/// A document of the adopted state, as an agent gets it: verified, and on this device's disk.
public struct Document: Sendable {
  /// The document's id.
  public let id: String
  /// The digest of its bytes.
  public let digest: Digest
  /// Its length in bytes.
  public let size: UInt64
  /// A read-only file with its bytes, there as long as the state is kept. Do not write to it, and do not rely on its
  /// name; to have the file elsewhere, link or copy it.
  public let path: String
  let worker: Worker
  let blobs: BlobStore

  /// Says that a link was made to ``path``: that is no reason to digest it again.
  package func noteLinked() throws(FileError) { try blobs.noteLinked(digest) }

  /// The whole document, in memory.
  ///
  /// - Parameter limit: the longest document that is read, in bytes.
  /// - Throws: ``VerificationError`` with `limit-exceeded` if it is longer; ``StoreError`` with `documentDamaged` if the
  ///   bytes on the disk are no longer those that were verified; ``FileError``; `CancellationError`.
  public func contents(limit: Int = .max) async throws -> [UInt8] {
    guard size <= UInt64(max(limit, 0)) else {
      throw VerificationError(
        .limitExceeded, "document \(quoted(id)) has \(size) bytes, and \(limit) at most are read into memory")
    }
    var contents: [UInt8] = []
    contents.reserveCapacity(Int(size))
    for try await chunk in bytes { contents += chunk }
    return contents
  }

  /// The document in pieces, checked against the digest as they pass: an error at the end means that the bytes before
  /// it must not be used.
  public var bytes: some AsyncSequence<[UInt8], any Error> & Sendable { Bytes(document: self) }

  private struct Bytes: AsyncSequence, Sendable {
    let document: Document

    struct AsyncIterator: AsyncIteratorProtocol {
      let document: Document
      var offset: UInt64 = 0
      var hasher = Digest.Hasher()

      mutating func next() async throws -> [UInt8]? {
        let path = document.path
        let offset = offset
        let chunk = try await document.worker.run {
          try OpenFile.reading(path).read(upTo: 1 << 18, at: offset)
        }
        guard !chunk.isEmpty else {
          guard hasher.finalize() == document.digest else {
            throw StoreError(
              .documentDamaged,
              "document '\(document.id)' on this device's disk (\(path)) is damaged; it is fetched again")
          }
          return nil
        }
        self.offset += UInt64(chunk.count)
        hasher.update(chunk)
        return chunk
      }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(document: document) }
  }
}
