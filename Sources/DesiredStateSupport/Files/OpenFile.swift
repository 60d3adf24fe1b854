import CLinux
package import FoundationEssentials
package import Glibc
import SystemPackage

/// An open file descriptor that is closed when it goes out of use.
package struct OpenFile: ~Copyable, Sendable {
  private let file: FileDescriptor
  package let path: String

  /// Opens a file; `O_CLOEXEC` is always added, so that no child process inherits it.
  package init(_ path: String, _ flags: Int32, mode: mode_t = 0o644) throws(FileError) {
    do {
      file = try FileDescriptor.open(
        path, FileDescriptor.AccessMode(rawValue: flags & O_ACCMODE),
        options: FileDescriptor.OpenOptions(rawValue: flags & ~O_ACCMODE | O_CLOEXEC),
        permissions: FilePermissions(rawValue: mode))
    } catch {
      throw FileError(flags & O_CREAT != 0 ? "create" : "open", path, error)
    }
    self.path = path
  }

  /// Takes over a descriptor that is open already, from openat(2) for instance, and closes it in the end.
  package init(adopting descriptor: Int32, path: String) {
    file = FileDescriptor(rawValue: descriptor)
    self.path = path
  }

  /// A file that is nowhere but in memory, with these bytes, to be read from its beginning: memfd_create(2).
  package static func inMemory(_ bytes: [UInt8], called name: String) throws(FileError) -> OpenFile {
    // 1 is MFD_CLOEXEC.
    let descriptor = memfd_create("desired-state", 1)
    guard descriptor >= 0 else { throw FileError("create a file in memory for", name) }
    let file = OpenFile(adopting: descriptor, path: name)
    try file.write(bytes)
    guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw FileError("read", name) }
    return file
  }

  /// Opens for reading what must be a regular file. A FIFO, a socket or a device at that path is refused without
  /// blocking: open(2) of a FIFO waits for a writer unless `O_NONBLOCK` is given.
  package static func reading(_ path: String) throws(FileError) -> OpenFile {
    let file = try OpenFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    guard try file.status().isRegular else { throw FileError("read", path, code: EINVAL) }
    return file
  }

  deinit { try? file.close() }

  /// For calls that swift-system does not have.
  package var descriptor: Int32 { file.rawValue }

  package func status() throws(FileError) -> FileStatus {
    var buffer = stat()
    guard fstat(descriptor, &buffer) == 0 else { throw FileError("look at", path) }
    return FileStatus(buffer)
  }

  /// Reads up to `count` bytes; empty at the end of the file.
  package func read(upTo count: Int) throws(FileError) -> [UInt8] {
    try fill(count) { try file.read(into: $0) }
  }

  /// Reads up to `count` bytes from an offset, and leaves the position alone.
  package func read(upTo count: Int, at offset: UInt64) throws(FileError) -> [UInt8] {
    try fill(count) { try file.read(fromAbsoluteOffset: Int64(offset), into: $0) }
  }

  private func fill(
    _ count: Int, _ read: (UnsafeMutableRawBufferPointer) throws -> Int
  ) throws(FileError) -> [UInt8] {
    do {
      return try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        filled = try read(UnsafeMutableRawBufferPointer(buffer))
      }
    } catch {
      throw FileError("read", path, error)
    }
  }

  /// Writes all bytes; a short write goes on where it stopped.
  package func write(_ bytes: [UInt8]) throws(FileError) {
    do { try file.writeAll(bytes) } catch { throw FileError("write", path, error) }
  }

  /// Sets its modification time to now, with nanoseconds of the caller's choice.
  package func setModificationTime(nanoseconds: Int) throws(FileError) {
    guard futimens(descriptor, Files.times(nanoseconds)) == 0 else { throw FileError("set the time of", path) }
  }

  /// fsync(2): contents and metadata are on the disk when it returns. For a directory: its entries are.
  package func synchronize() throws(FileError) {
    guard fsync(descriptor) == 0 else { throw FileError("fsync", path) }
  }
}

/// What stat(2) says of a file, as far as this package asks.
package struct FileStatus: Sendable, Equatable {
  private let mode: mode_t
  package let size: Int
  package let device: UInt
  package let inode: UInt
  package let links: UInt
  package let modified: timespec
  package let changed: timespec

  package init(_ buffer: stat) {
    mode = buffer.st_mode
    size = Int(buffer.st_size)
    device = UInt(buffer.st_dev)
    inode = UInt(buffer.st_ino)
    links = UInt(buffer.st_nlink)
    modified = buffer.st_mtim
    changed = buffer.st_ctim
  }

  /// The status of the file at a path, a symbolic link itself and not where it leads; nil if nothing is there.
  package init?(at path: String) {
    var buffer = stat()
    guard lstat(path, &buffer) == 0 else { return nil }
    self.init(buffer)
  }

  package var isRegular: Bool { mode & S_IFMT == S_IFREG }
  package var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
  package var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }

  /// When the content was changed last.
  package var modificationTime: Date {
    Date(timeIntervalSince1970: Double(modified.tv_sec) + Double(modified.tv_nsec) / 1e9)
  }

  /// Changes whenever the file is replaced or written to: identity, size and change time.
  package var fingerprint: String {
    "\(device):\(inode):\(size):\(modified.tv_sec).\(modified.tv_nsec):\(changed.tv_sec).\(changed.tv_nsec)"
  }

  package static func == (left: FileStatus, right: FileStatus) -> Bool {
    left.fingerprint == right.fingerprint && left.mode == right.mode
  }
}
