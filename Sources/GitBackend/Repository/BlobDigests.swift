import DesiredState
import DesiredStateSupport

/// The digests of blobs, kept from one poll to the next: git names them by another one.
final class BlobDigests: Sendable {
  private struct Known {
    let digest: Digest
    let size: UInt64
  }
  private let known = LockedValue<[ObjectID: Known]>([:])

  /// The documents of a plain tree, as a manifest lists them.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded`, or `manifest-malformed` for a Git LFS pointer, which is
  ///   a file about a document and not the document.
  func references(of entries: [TreeEntry], in objects: AsyncObjectStore, limits: Limits) async throws
    -> [DocumentReference]
  {
    var still: [ObjectID: Known] = Dictionary(minimumCapacity: entries.count)
    let before = known.withLock { $0 }
    var total: UInt64 = 0
    var references: [DocumentReference] = []
    references.reserveCapacity(entries.count)
    for entry in entries {
      // One by one: others have their turn, and a cancelled task is noticed.
      let blob: Known
      if let known = still[entry.id] ?? before[entry.id] {
        blob = known
        try Self.check(entry, blob.size, limits)
      } else {
        blob = try await objects.use { try Self.digest(entry, $0, limits) }
      }
      still[entry.id] = blob
      total += blob.size
      guard total <= limits.totalSize else {
        throw VerificationError(.limitExceeded, "the documents are larger than \(limits.totalSize) bytes in all")
      }
      references.append(DocumentReference(id: entry.path, digest: blob.digest, advisorySize: blob.size, url: nil))
    }
    known.withLock { [still] in $0 = still }
    return references
  }

  private static func check(_ entry: TreeEntry, _ size: UInt64, _ limits: Limits) throws(VerificationError) {
    guard size <= limits.documentSize else {
      throw VerificationError(
        .limitExceeded,
        "document \(quoted(entry.path)) has \(size) bytes, the limit is \(limits.documentSize)"
      )
    }
  }

  private static func digest(_ entry: TreeEntry, _ store: ObjectStore, _ limits: Limits) throws -> Known {
    try check(entry, UInt64(try store.header(of: entry.id).size), limits)
    let bytes = try store.read(entry.id)
    guard !isPointer(bytes) else {
      throw VerificationError(
        .manifestMalformed,
        "\(quoted(entry.path)) is a Git LFS pointer and not the document; keep documents in Git itself"
      )
    }
    return Known(digest: .of(bytes), size: UInt64(bytes.count))
  }

  /// git-lfs, docs/spec.md: a pointer is shorter than 1024 bytes, begins with the version of the format, and has the
  /// object's id and its size. A text that only begins so is a document.
  private static func isPointer(_ bytes: [UInt8]) -> Bool {
    guard bytes.count < 1024, bytes.starts(with: "version https://git-lfs.github.com/spec/".utf8) else { return false }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    let hasID = lines.contains { line in
      let parts = line.split(separator: " ")
      return parts.count == 2 && parts[0] == "oid" && parts[1].hasPrefix("sha256:") && parts[1].utf8.count == 71
    }
    return hasID && lines.contains { $0.hasPrefix("size ") && UInt64($0.dropFirst(5)) != nil }
  }
}
