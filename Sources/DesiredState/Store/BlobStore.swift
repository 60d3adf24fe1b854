import DesiredStateSupport
import Glibc

/// Content by digest: one read-only file each, in one directory.
///
/// A blob under its final name is complete and on the disk: it is written elsewhere, synced, and only then renamed.
/// The nanoseconds of its modification time are set to a number that follows from the digest, as a seal: whoever writes
/// to the file later breaks it, and the blob is digested again before it is trusted. A file system that keeps no
/// nanoseconds (FAT) has every blob digested each time, which is slow and right.
struct BlobStore: Sendable {
  let directory: String
  /// Where blobs are written before they are whole. Emptied whenever a store is opened.
  let incoming: String

  // Up to here each file is synced by itself; beyond, one syncfs(2) is cheaper than the sum.
  private static let individuallySynced = 16

  func path(of digest: Digest) -> String { Files.join(directory, digest.fileName) }

  private func incomingPath(of digest: Digest) -> String { Files.join(incoming, digest.fileName) }

  /// Whether the blob is here with its seal whole: cheaper than opening it.
  func holds(_ digest: Digest) -> Bool {
    FileStatus(at: path(of: digest)).map { isSealed($0, digest) } ?? false
  }

  /// The size of a blob that is here, else nil. One with a broken seal is digested: sealed again if it is right, removed
  /// if it is not.
  func repairedSize(of digest: Digest) throws(FileError) -> UInt64? {
    let path = path(of: digest)
    guard let status = FileStatus(at: path) else { return nil }
    if isSealed(status, digest) { return UInt64(status.size) }
    guard status.isRegular, try self.digest(ofFile: path) == digest else {
      try Files.remove(path)
      return nil
    }
    try verifiedStamp(path, digest)
    return UInt64(status.size)
  }

  private func isSealed(_ status: FileStatus, _ digest: Digest) -> Bool {
    status.isRegular && status.modified.tv_nsec == Self.verifiedStamp(of: digest)
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

  private static func verifiedStamp(of digest: Digest) -> Int { 1 + Int(digest.prefix % 999_999_999) }

  private func verifiedStamp(_ path: String, _ digest: Digest) throws(FileError) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var times = [now, timespec(tv_sec: now.tv_sec, tv_nsec: Self.verifiedStamp(of: digest))]
    guard utimensat(AT_FDCWD, path, &times, 0) == 0 else { throw FileError("set the time of", path) }
  }

  /// A blob on its way in.
  struct Draft: ~Copyable {
    fileprivate let file: OpenFile
    func write(_ bytes: [UInt8]) throws(FileError) { try file.write(bytes) }
  }

  /// Begins to write the blob with this digest; the caller checks that the bytes have it.
  func draft(_ digest: Digest) throws(FileError) -> Draft {
    Draft(file: try OpenFile(incomingPath(of: digest), O_WRONLY | O_CREAT | O_TRUNC, mode: 0o444))
  }

  func discard(_ digest: Digest) { unlink(incomingPath(of: digest)) }

  /// Makes drafts durable and moves them in place.
  func commit(_ digests: [Digest]) throws(FileError) {
    guard !digests.isEmpty else { return }
    for digest in digests { try verifiedStamp(incomingPath(of: digest), digest) }
    if digests.count <= Self.individuallySynced {
      for digest in digests { try OpenFile(incomingPath(of: digest), O_RDONLY).synchronize() }
    } else {
      try Files.synchronizeFileSystem(of: incoming)
    }
    for digest in digests { try Files.rename(incomingPath(of: digest), to: path(of: digest)) }
    try Files.synchronizeDirectory(directory)
  }

  /// Removes every blob that is not wanted.
  func collectGarbage(keeping wanted: Set<Digest>) throws(FileError) {
    for name in try Files.names(in: directory) {
      if let digest = Digest(fileName: name), wanted.contains(digest) { continue }
      try Files.remove(Files.join(directory, name))
    }
  }
}
