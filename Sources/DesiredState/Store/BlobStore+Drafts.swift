import DesiredStateSupport
import Glibc

/// Blobs on their way in.
extension BlobStore {
  /// A blob on its way in.
  struct Draft: ~Copyable {
    fileprivate let file: OpenFile
    /// What an earlier try left of it.
    let head: DocumentHead

    fileprivate let seal: Int

    func write(_ bytes: [UInt8]) throws(FileError) { try file.write(bytes) }

    /// Seals it: its bytes are all there, and have the digest.
    func finish() throws(FileError) { try file.setModificationTime(nanoseconds: seal) }
  }

  /// Below this many bytes a document is read again from its beginning, which costs no more than continuing it.
  static let smallestContinued = 64 << 10

  /// Begins to write the blob with this digest, or goes on with what an earlier try left of it; the caller checks that the
  /// bytes have the digest, and finishes it.
  func draft(_ digest: Digest, continuing: Bool = false) throws(FileError) -> Draft {
    let path = incomingPath(of: digest)
    var head = DocumentHead()
    if continuing {
      // Blobs are read-only from the beginning, so that none is by mistake written to later.
      chmod(path, 0o600)
      defer { chmod(path, 0o444) }
      let file = try OpenFile(path, O_RDWR | O_NOFOLLOW)
      while case let bytes = try file.read(upTo: 1 << 18), !bytes.isEmpty { head.add(bytes) }
      return Draft(file: file, head: head, seal: digest.seal)
    }
    return Draft(file: try OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o444), head: head, seal: digest.seal)
  }

  /// Removes what earlier tries left, except of these blobs, and of those what is too little to be continued.
  ///
  /// - Returns: the blobs that can be continued.
  @discardableResult
  func removeDrafts(except wanted: (Digest) -> Bool = { _ in false }) throws(FileError) -> Set<Digest> {
    var begun: Set<Digest> = []
    for name in try Files.names(in: incoming) {
      let path = Files.join(incoming, name)
      if let digest = Digest(fileName: name), wanted(digest), let status = try Files.status(of: path),
        status.isRegular, status.size >= Self.smallestContinued
      {
        begun.insert(digest)
      } else {
        try Files.remove(path)
      }
    }
    return begun
  }

  func discard(_ digest: Digest) { unlink(incomingPath(of: digest)) }

  // Up to here each file is synced by itself; beyond, one syncfs(2) is cheaper than the sum.
  private static let individuallySynced = 16

  /// Makes finished drafts durable and moves them in place.
  func commit(_ digests: [Digest]) throws(FileError) {
    guard !digests.isEmpty else { return }
    if digests.count <= Self.individuallySynced {
      for digest in digests { try OpenFile(incomingPath(of: digest), O_RDONLY).synchronize() }
    } else {
      try Files.synchronizeFileSystem(of: incoming)
    }
    for digest in digests { try Files.rename(incomingPath(of: digest), to: path(of: digest)) }
    try Files.synchronizeDirectory(directory)
    for digest in digests { try noteDigested(digest) }
  }
}
