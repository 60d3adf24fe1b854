import CLinux
import Glibc

/// Files and directories by path: what the store, the file backend and the command line share.
package enum Files {
  /// How much of a file is read at a time, in bytes.
  package static let chunkSize = 256 << 10

  /// Joins a directory and a name below it.
  package static func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
  }

  /// The directory a path is in.
  package static func parent(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The whole of a regular file, or nil if it is longer than `limit`, which is found out while reading.
  package static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8]? {
    let file = try OpenFile.reading(path)
    return try read(file, limit: limit)
  }

  package static func read(_ file: borrowing OpenFile, limit: Int) throws(FileError) -> [UInt8]? {
    let size = try file.status().size
    guard size <= limit else { return nil }
    // One byte more than the size, so that the end is seen with the first read of a file without a writer.
    var bytes = try file.read(upTo: size + 1)
    while true {
      guard bytes.count <= limit else { return nil }
      let more = try file.read(upTo: 1 << 16)
      if more.isEmpty { return bytes }
      bytes += more
    }
  }

  /// Creates a directory and those above it where they do not exist.
  package static func createDirectories(_ path: String, mode: UInt32 = 0o755) throws(FileError) {
    if mkdir(path, mode) == 0 { return }
    switch errno {
    case EEXIST where isDirectory(path): return
    // Where the parent is there all the same, it is a place in which nothing can be made (/proc).
    case ENOENT where parent(path) != path && !isDirectory(parent(path)):
      try createDirectories(parent(path), mode: mode)
      try createDirectories(path, mode: mode)
    default: throw FileError("create directory", path)
    }
  }

  /// The kind of the file at a path, a symbolic link itself and not where it leads; nil if nothing is there.
  ///
  /// - Throws: ``FileError`` for every other reason not to know: a disk that does not answer is no proof of absence.
  package static func status(of path: String) throws(FileError) -> FileStatus? {
    var buffer = stat()
    guard lstat(path, &buffer) != 0 else { return FileStatus(buffer) }
    guard errno == ENOENT || errno == ENOTDIR else { throw FileError("look at", path) }
    return nil
  }

  /// Whether a directory is there, symbolic links followed.
  package static func isDirectory(_ path: String) -> Bool {
    var buffer = stat()
    return stat(path, &buffer) == 0 && FileStatus(buffer).isDirectory
  }

  /// Makes a new directory for this user alone, below `TMPDIR` or `/tmp`. The caller removes it.
  package static func temporaryDirectory(_ prefix: String) throws(FileError) -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array(join(parent, "\(prefix)-XXXXXX").utf8) + [0]
    let isMade = template.withUnsafeMutableBytes { mkdtemp($0.baseAddress!.assumingMemoryBound(to: CChar.self)) != nil }
    guard isMade else { throw FileError("create directory", parent) }
    return String(decoding: template.dropLast(), as: UTF8.self)
  }

  /// The names in a directory, in no order, without `.` and `..`.
  package static func names(in path: String) throws(FileError) -> [String] {
    guard let stream = opendir(path) else { throw FileError("list", path) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0  // readdir(3): the only way to tell the end from an error
      guard let entry = readdir(stream) else {
        guard errno == 0 else { throw FileError("list", path) }
        return names
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
  }

  /// Puts a file in place so that a reader, or a power cut, finds the old content or the new and nothing between:
  /// write under another name, fsync, rename, fsync the directory.
  ///
  /// - Parameter isDurable: false leaves out both fsyncs, for what may be lost but never torn.
  package static func replace(
    _ path: String, with bytes: [UInt8], mode: UInt32 = 0o644, isDurable: Bool = true
  ) throws(FileError) {
    let temporary = temporaryName(for: path)
    do {
      do {
        let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try file.write(bytes)
        if isDurable { try file.synchronize() }
      }
      try rename(temporary, to: path)
    } catch {
      unlink(temporary)
      throw error
    }
    if isDurable { try synchronizeDirectory(parent(path)) }
  }

  /// A name beside `path` that no reader looks at and no second process uses.
  package static func temporaryName(for path: String) -> String {
    let slash = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
    return "\(path[..<slash]).\(path[slash...]).\(getpid()).tmp"
  }

  /// The path made absolute, without empty and `.` components.
  ///
  /// Symbolic links are not resolved, and for their sake `..` is left alone too: `a/..` is another place than `.` if `a`
  /// is a link. So the result depends on the text alone, and is the same whether or not anything is there.
  package static func absolute(_ path: String) -> String {
    let whole = path.hasPrefix("/") ? path : join(workingDirectory(), path)
    return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
  }

  private static func workingDirectory() -> String {
    // getcwd(3): with a null buffer glibc allocates one as long as needed.
    guard let buffer = getcwd(nil, 0) else { return "/" }
    defer { free(buffer) }
    return String(cString: buffer)
  }

  /// Removes the files of ``temporaryName(for:)`` that a killed process left in a directory.
  ///
  /// - Parameter name: only those of files whose names begin so.
  package static func removeTemporaries(in directory: String, of name: String = "") throws(FileError) {
    for left in try names(in: directory) where left.hasPrefix("." + name) && left.hasSuffix(".tmp") {
      try remove(join(directory, left))
    }
  }

  package static func rename(_ source: String, to destination: String) throws(FileError) {
    guard Glibc.rename(source, destination) == 0 else { throw FileError("rename into place", destination) }
  }

  package static func synchronizeDirectory(_ path: String) throws(FileError) {
    try OpenFile(path, O_RDONLY | O_DIRECTORY).synchronize()
  }

  /// Sets a file's modification time to now, with nanoseconds of the caller's choice.
  package static func setModificationTime(of path: String, nanoseconds: Int) throws(FileError) {
    guard utimensat(AT_FDCWD, path, times(nanoseconds), 0) == 0 else { throw FileError("set the time of", path) }
  }

  /// Now as the time of access, and with other nanoseconds as that of modification.
  static func times(_ nanoseconds: Int) -> [timespec] {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return [now, timespec(tv_sec: now.tv_sec, tv_nsec: nanoseconds)]
  }

  /// Bytes that this user may still write to the file system a path is on.
  package static func freeSpace(at path: String) throws(FileError) -> UInt64 {
    var buffer = statvfs()
    guard statvfs(path, &buffer) == 0 else { throw FileError("look at the file system of", path) }
    let blocks = geteuid() == 0 ? buffer.f_bfree : buffer.f_bavail
    return UInt64(blocks).multipliedReportingOverflow(by: UInt64(buffer.f_frsize)).partialValue
  }

  /// Writes back everything of the file system that a path is on: one call where thousands of fsyncs would be needed.
  /// syncfs(2) reports write-back errors since Linux 5.8.
  package static func synchronizeFileSystem(of path: String) throws(FileError) {
    let directory = try OpenFile(path, O_RDONLY)
    guard syncfs(directory.descriptor) == 0 else { throw FileError("sync the file system of", path) }
  }

  /// Removes a file, or a directory with all it holds; a missing one is removed already. Symbolic links are
  /// removed, never followed.
  package static func remove(_ path: String) throws(FileError) {
    guard let status = try status(of: path) else { return }
    if status.isDirectory {
      for name in try names(in: path) { try remove(join(path, name)) }
      guard rmdir(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    } else {
      guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    }
  }
}
