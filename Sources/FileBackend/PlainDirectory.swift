import DesiredState
import DesiredStateSupport
import DropArchive
import FoundationEssentials
import Glibc

/// The digests of a plain directory's files, kept from one poll to the next: only what changed is read again.
struct PlainDirectory {
  /// How old a file's last change must be before its digest is kept: see ``FileStatus/isSettled(since:)``.
  let settling: Duration
  private var known: [String: Known] = [:]
  private var started: Started?
  /// How many files have been read to the end, for tests.
  private(set) var digested = 0

  init(settling: Duration) { self.settling = settling }

  private struct Known {
    let fingerprint: String
    let digest: Digest
    /// When it was read, if too soon after its last change: good for the poll that read it and no other.
    let unsettled: ContinuousClock.Instant?
  }

  /// A large file that one slice was not enough for.
  private struct Started {
    let id: String
    let fingerprint: String
    var hasher = Digest.Hasher()
    var offset = 0
  }

  /// Looks at all files and digests those that changed, for one slice of time.
  ///
  /// - Parameter began: when the fetch began that asks.
  /// - Returns: the documents, or nil if more time is needed.
  mutating func documents(
    below root: String, limits: Limits, began: ContinuousClock.Instant
  ) throws -> [DocumentReference]? {
    let files = try DirectoryWalk.files(below: root, limits: limits)
    try check(files, limits)
    let deadline = ContinuousClock.now + Access.slice
    var still: [String: Known] = Dictionary(minimumCapacity: files.count)
    var documents: [DocumentReference] = []
    documents.reserveCapacity(files.count)
    for file in files {
      let fingerprint = file.status.fingerprint
      if let known = known[file.id], known.fingerprint == fingerprint, known.unsettled.map({ $0 >= began }) ?? true {
        still[file.id] = known
      } else {
        guard let read = try digest(file.id, below: root, until: deadline) else { return nil }
        still[file.id] = read
        known[file.id] = read
      }
      documents.append(
        DocumentReference(
          id: file.id, digest: still[file.id]!.digest, advisorySize: UInt64(file.status.size), url: nil))
    }
    known = still
    return documents
  }

  private func check(_ files: [DirectoryWalk.Entry], _ limits: Limits) throws(VerificationError) {
    var total: UInt64 = 0
    for file in files {
      let size = UInt64(file.status.size)
      guard size <= limits.documentSize else {
        throw VerificationError(
          .limitExceeded, "\(DirectoryWalk.shown(file.id)) has \(size) bytes, the limit is \(limits.documentSize)")
      }
      total += size
      guard total <= limits.totalSize else {
        throw VerificationError(.limitExceeded, "the files are larger than \(limits.totalSize) bytes in all")
      }
    }
  }

  /// Digests one file, going on where the slice before stopped.
  private mutating func digest(
    _ id: String, below root: String, until deadline: ContinuousClock.Instant
  ) throws -> Known? {
    let file = SharedFile(try OpenDirectory(root).file(at: id, links: .none))
    let status = try file.open.status()
    var work = Started(id: id, fingerprint: status.fingerprint)
    if let started, started.id == id, started.fingerprint == status.fingerprint { work = started }
    started = nil
    while true {
      let bytes = try file.read(upTo: Files.chunkSize, at: work.offset)
      guard !bytes.isEmpty else { break }
      work.hasher.update(bytes)
      work.offset += bytes.count
      guard work.offset <= status.size else { break }  // it grows; the next poll sees another fingerprint
      if ContinuousClock.now > deadline {
        started = work
        return nil
      }
    }
    digested += 1
    return Known(
      fingerprint: status.fingerprint, digest: work.hasher.finalize(),
      unsettled: status.isSettled(since: settling) ? nil : .now)
  }
}

extension FileStatus {
  /// Whether the last change is so long ago that a change since would show in the fingerprint.
  ///
  /// Two changes within one tick of the file system's clock leave the same times behind (FAT counts in two seconds), and
  /// the second one must not go unseen.
  func isSettled(since settling: Duration) -> Bool {
    let last = max(Self.seconds(changed), Self.seconds(modified))
    return Date().timeIntervalSince1970 - last > settling.timeInterval
  }

  private static func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) / 1e9 }
}
