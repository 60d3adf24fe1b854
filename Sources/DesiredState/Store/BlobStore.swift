import DesiredStateSupport
import Glibc

/// Content by digest: one read-only file each, in one directory.
///
/// A blob under its final name is complete and on the disk: it is written elsewhere, synced, and only then renamed.
/// The nanoseconds of its modification time are set to a number that follows from the digest, as a seal: writing to the
/// file later breaks it, and the blob is digested again before it is trusted. A file system that keeps no nanoseconds
/// (FAT) has every blob digested each time, which is slow and right.
///
/// A seal says that the file was right once. A disk that rots, or a hand that sets the time back, leaves it whole:
/// before a blob is placed it must have been digested by this process, and unchanged since (``DigestedBlobs``).
struct BlobStore: Sendable {
  let directory: String
  /// Where blobs are written before they are whole. What is left of large ones is continued at the next try.
  let incoming: String
  private let digested = DigestedBlobs()
  private let lastManifest = LockedValue<(revision: Revision, manifest: StateManifest)?>(nil)
  /// A larger manifest is read anew each time, and not held in memory while the agent waits.
  private static let heldManifest = 4 << 20

  init(directory: String, incoming: String) {
    self.directory = directory
    self.incoming = incoming
  }

  func path(of digest: Digest) -> String { Files.join(directory, digest.fileName) }

  func incomingPath(of digest: Digest) -> String { Files.join(incoming, digest.fileName) }

  /// Whether the blob is here with its seal whole: cheaper than opening it.
  func holds(_ digest: Digest) -> Bool {
    FileStatus(at: path(of: digest)).map { Self.isSealed($0, digest) } ?? false
  }

  /// The size of a blob that is here, else nil. One that this process has not digested, or that has changed since, is
  /// digested now: sealed again if it is right, removed if it is not.
  func repairedSize(of digest: Digest) throws(FileError) -> UInt64? {
    let path = path(of: digest)
    guard let status = try Files.status(of: path) else { return nil }
    if digested.contains(digest, status) { return UInt64(status.size) }
    return try scrub(digest, status)
  }

  /// Whether a blob is there and has its digest: read, and left as it is.
  func isWhole(_ digest: Digest) throws(FileError) -> Bool {
    guard let status = try Files.status(of: path(of: digest)), status.isRegular else { return false }
    return try self.digest(ofFile: path(of: digest)) == digest
  }

  /// Digests a blob, whatever is known of it.
  ///
  /// - Returns: its size; nil if it was damaged, and is removed.
  func scrub(_ digest: Digest) throws(FileError) -> UInt64? {
    guard let status = try Files.status(of: path(of: digest)) else { return nil }
    return try scrub(digest, status)
  }

  private func scrub(_ digest: Digest, _ status: FileStatus) throws(FileError) -> UInt64? {
    let path = path(of: digest)
    guard status.isRegular, try self.digest(ofFile: path) == digest else {
      digested.forget(digest)
      // Links to it are as damaged: with its seal broken they are found to be.
      if status.isRegular { try? Files.setModificationTime(of: path, nanoseconds: 0) }
      try Files.remove(path)
      return nil
    }
    if !Self.isSealed(status, digest) { try seal(path, digest) }
    try noteDigested(digest)
    return UInt64(status.size)
  }

  /// Takes the file as it is now for the one that was digested: called after its bytes were, or after a link to it was
  /// made, which changes its change time and nothing else.
  func noteDigested(_ digest: Digest) throws(FileError) {
    if let status = try Files.status(of: path(of: digest)) { digested.insert(digest, status) }
  }

  /// The same after a link was made, for a blob that was as digested before.
  func noteLinked(_ digest: Digest) throws(FileError) {
    guard let status = try Files.status(of: path(of: digest)), digested.isSameContent(digest, status) else { return }
    digested.insert(digest, status)
  }

  /// Whether a file is as a blob is left: its modification time carries the digest's seal. Links and copies share it.
  static func isSealed(_ status: FileStatus, _ digest: Digest) -> Bool {
    status.isRegular && status.modified.tv_nsec == digest.seal
  }

  /// The manifest that is kept as a blob.
  ///
  /// - Throws: ``StoreError`` with `documentDamaged` if its bytes are gone or wrong; ``FileError`` if they cannot be read
  ///   now.
  func manifest(of revision: Revision) throws -> StateManifest {
    let file = path(of: revision.digest)
    let status = try Files.status(of: file)
    if let status, digested.contains(revision.digest, status),
      let last = lastManifest.withLock(\.self), last.revision == revision
    {
      return last.manifest
    }
    guard status != nil, let bytes = try Files.read(file, limit: .max - 1), Digest.of(bytes) == revision.digest else {
      throw StoreError(
        .documentDamaged, "the manifest \(revision) in \(directory) is damaged; it is fetched again at the next poll")
    }
    let manifest = try StateManifest(parsing: bytes, requiresVersion: false)
    lastManifest.withLock { $0 = bytes.count <= Self.heldManifest ? (revision, manifest) : nil }
    return manifest
  }

  private func digest(ofFile path: String) throws(FileError) -> Digest {
    let file = try OpenFile.reading(path)
    var hasher = Digest.Hasher()
    while true {
      let chunk = try file.read(upTo: 1 << 18)
      if chunk.isEmpty { return hasher.finalize() }
      hasher.update(chunk)
    }
  }

  private func seal(_ path: String, _ digest: Digest) throws(FileError) {
    try Files.setModificationTime(of: path, nanoseconds: digest.seal)
  }

  /// The digests of all blobs, in a fixed order.
  func all() throws(FileError) -> [Digest] {
    try Files.names(in: directory).sorted().compactMap { Digest(fileName: $0) }
  }

  /// Bytes of all blobs.
  func totalSize() throws(FileError) -> UInt64 { try Self.size(of: directory) }

  /// Bytes on their way in.
  func draftedSize() throws(FileError) -> UInt64 { try Self.size(of: incoming) }

  private static func size(of directory: String) throws(FileError) -> UInt64 {
    var total: UInt64 = 0
    for name in try Files.names(in: directory) {
      total += UInt64(try Files.status(of: Files.join(directory, name))?.size ?? 0)
    }
    return total
  }

  /// Removes every blob that is not wanted.
  func collectGarbage(keeping wanted: Set<Digest>) throws(FileError) {
    for name in try Files.names(in: directory) {
      let digest = Digest(fileName: name)
      if let digest, wanted.contains(digest) { continue }
      try Files.remove(Files.join(directory, name))
      if let digest { digested.forget(digest) }
    }
  }
}

extension Digest {
  /// The nanoseconds that a file with these bytes has in its modification time.
  package var seal: Int { 1 + Int(prefix % 999_999_999) }
}
