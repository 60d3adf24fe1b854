import DesiredState
import DesiredStateSupport
import Glibc
import Synchronization

/// Writes a receipt below a drop: durably, in one step, and never through a symbolic link to somewhere else.
enum ReceiptWriter {
  /// Puts a receipt in its place. If the same one is there already, nothing is written again.
  ///
  /// - Throws: ``BackendError`` with `forbidden` if the drop cannot be written to, `server-error` if its disk is full or
  ///   fails, `protocol-violation` if something else is in the way.
  static func write(_ receipt: Receipt, below root: borrowing OpenDirectory) throws(BackendError) {
    var components = receipt.path.split(separator: "/").map(String.init)
    let name = components.removeLast()
    do {
      var directory = try root.folder(components[0])
      for component in components.dropFirst() { directory = try directory.folder(component) }
      try write(receipt.signature, beside: name, in: directory)
      if try directory.contents(of: name, limit: receipt.bytes.count) != receipt.bytes {
        try directory.replace(name, with: receipt.bytes)
      }
      // Also when it was there: its writer may have been stopped before this.
      try directory.synchronize()
    } catch {
      throw failure(error)
    }
  }

  /// Puts the signature in place before its receipt. Those before it stay beside it for as long as their receipt may:
  /// a reader finds the old receipt or the new one, each with a signature that fits.
  private static func write(
    _ signature: [UInt8]?, beside receipt: String, in directory: borrowing OpenDirectory
  ) throws(FileError) {
    let name = receipt + Receipt.signatureEnding
    guard let signature else { return try directory.remove(name) }
    let before = try directory.contents(of: name, limit: longestSignatures) ?? []
    let mark = Array("-----BEGIN".utf8)
    let starts = before.indices.filter { before[$0...].starts(with: mark) }
    var kept: [[UInt8]] = []
    for (index, start) in starts.enumerated() {
      let block = Array(before[start..<(index + 1 < starts.count ? starts[index + 1] : before.endIndex)])
      if block == signature {
        // It is there already, by an attempt that did not get to its end.
        return
      }
      if kept.count < 2 { kept.append(block) }
    }
    try directory.replace(name, with: signature + kept.joined())
  }

  private static let longestSignatures = 1 << 18

  private static func failure(_ error: FileError) -> BackendError {
    let waiting = "the acknowledgement waits in the outbox"
    switch error.code {
    case EROFS, EACCES, EPERM:
      return BackendError(.forbidden, "\(error); \(waiting)", underlying: error)
    case ELOOP, ENOTDIR, EISDIR, EEXIST:
      return BackendError(
        .protocolViolation,
        "\(error.path) is not the directory or file it should be, and symbolic links are not followed; remove it; \(waiting)",
        underlying: error)
    default:
      return BackendError(.serverError, "\(error); \(waiting)", underlying: error)
    }
  }
}

extension OpenDirectory {
  private static let count = Atomic<Int>(0)

  /// A directory in this one, made durably if it is not there.
  func folder(_ name: String) throws(FileError) -> OpenDirectory {
    let path = Files.join(path, name)
    if mkdirat(descriptor, name, 0o755) == 0 {
      try synchronize()
    } else if errno != EEXIST {
      // EROFS comes before EEXIST on some file systems: the present one can be used all the same.
      let error = FileError("create directory", path)
      guard faccessat(descriptor, name, F_OK, 0) == 0 else { throw error }
    }
    let opened = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard opened >= 0 else { throw FileError("open", path) }
    return OpenDirectory(adopting: opened, path: path)
  }

  /// The content of a file in this directory; nil if it is not there, is longer than `limit`, or is no regular file.
  func contents(of name: String, limit: Int) throws(FileError) -> [UInt8]? {
    let opened = openat(descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard opened >= 0 else { return nil }
    let file = OpenFile(adopting: opened, path: Files.join(path, name))
    guard try file.status().isRegular else { return nil }
    return try Files.read(file, limit: limit)
  }

  /// Puts a file in place in one step: a reader finds the old content or the new. ``synchronize()`` makes it last.
  func replace(_ name: String, with bytes: [UInt8]) throws(FileError) {
    removeHalfWritten(name)
    // The number keeps two writers in one process apart; the process id, which the name bears too, those in two.
    let number = Self.count.add(1, ordering: .relaxed).newValue
    let temporary = Files.temporaryName(for: "\(name).\(number)")
    do throws(FileError) {
      let opened = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
      guard opened >= 0 else { throw FileError("create", Files.join(path, temporary)) }
      let file = OpenFile(adopting: opened, path: Files.join(path, temporary))
      try file.write(bytes)
      try file.synchronize()
      guard renameat(descriptor, temporary, descriptor, name) == 0 else {
        throw FileError("rename into place", Files.join(path, name))
      }
    } catch {
      unlinkat(descriptor, temporary, 0)
      throw error
    }
  }

  /// Removes what processes left that were killed while they wrote a file of this name, as far as that can be told. A
  /// folder holds one device's receipts, so that all writers are of one machine, and a process id names one.
  private func removeHalfWritten(_ name: String) {
    for left in (try? Files.names(in: "/proc/self/fd/\(descriptor)")) ?? [] {
      guard left.hasPrefix(".\(name)."), left.hasSuffix(".tmp"),
        let process = left.dropLast(4).split(separator: ".").last.flatMap({ pid_t($0) }),
        process != getpid(), kill(process, 0) != 0, errno == ESRCH
      else { continue }
      unlinkat(descriptor, left, 0)
    }
  }

  /// Removes a file, if it is there.
  func remove(_ name: String) throws(FileError) {
    guard unlinkat(descriptor, name, 0) == 0 || errno == ENOENT else {
      // Where nothing may be removed, nothing need be: the disk of a device that only reads.
      let error = FileError("remove", Files.join(path, name))
      guard faccessat(descriptor, name, F_OK, 0) != 0 else { throw error }
      return
    }
  }

  /// fsync(2) of a directory: the entries it has now are on the disk.
  func synchronize() throws(FileError) {
    guard fsync(descriptor) == 0 else { throw FileError("fsync", path) }
  }
}
