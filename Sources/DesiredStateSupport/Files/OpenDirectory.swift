import CLinux
import Glibc

/// A directory held open, so that a file opened below it is below it, whatever symbolic links say.
package struct OpenDirectory: ~Copyable {
  package let descriptor: Int32
  package let path: String

  /// Opens a directory by a path that the operator gave; symbolic links in it are followed.
  package init(_ path: String) throws(FileError) {
    // Without O_DIRECTORY a FIFO at the path would be opened; with it, open(2) fails with ENOTDIR and does not wait.
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
    self.init(adopting: descriptor, path: path)
  }

  package init(adopting descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { _ = Glibc.close(descriptor) }

  /// Which symbolic links may be on the way to a file.
  package enum SymlinkPolicy {
    /// Those that stay below the directory: a mounted ConfigMap consists of them.
    case below
    case none
  }

  /// Opens for reading what must be a regular file below the directory, without waiting for a FIFO's other end.
  ///
  /// - Throws: ``FileError`` with `EXDEV` if the path leads out of the directory, `ELOOP` for a symbolic link that is not
  ///   followed or goes round in a circle, `EINVAL` or `ENXIO` for anything but a regular file.
  package func file(at relative: String, links: SymlinkPolicy = .below) throws(FileError) -> OpenFile {
    let file = try open(relative, O_RDONLY | O_NONBLOCK | O_NOCTTY, links: links)
    guard try file.status().isRegular else { throw FileError("read", file.path, code: EINVAL) }
    return file
  }

  /// The status of a path below the directory; nothing is opened for reading.
  package func status(at relative: String, links: SymlinkPolicy = .below) throws(FileError) -> FileStatus {
    try open(relative, Self.pathOnly, links: links).status()
  }

  /// Whether anything is at a path below the directory.
  package func holds(_ relative: String) throws(FileError) -> Bool {
    do {
      _ = try status(at: relative)
      return true
    } catch {
      guard error.code == ENOENT || error.code == ENOTDIR else { throw error }
      return false
    }
  }

  private func open(_ relative: String, _ flags: Int32, links: SymlinkPolicy) throws(FileError) -> OpenFile {
    let name = Files.join(path, relative)
    var attempts = 0
    while true {
      let opened = desired_state_open_beneath(descriptor, relative, flags | O_CLOEXEC, links == .below ? 1 : 0)
      if opened >= 0 { return OpenFile(adopting: opened, path: name) }
      switch errno {
      case EAGAIN where attempts < 100, EINTR:
        // openat2(2): the kernel could not be sure that ".." stayed below because of a rename; ask again.
        attempts += 1
      case ENOSYS, EPERM:
        // Before Linux 5.6, and in containers whose seccomp filter does not know the call.
        return try walk(to: relative, flags)
      case let code: throw FileError("open", name, code: code)
      }
    }
  }

  /// The same, one component at a time, without following any symbolic link.
  package func walk(to relative: String, _ flags: Int32) throws(FileError) -> OpenFile {
    let name = Files.join(path, relative)
    var components = relative.split(separator: "/").map(String.init)
    guard let last = components.popLast(), !(components + [last]).contains(".."), !relative.hasPrefix("/") else {
      throw FileError("open", name, code: EXDEV)
    }
    var directory = OpenFile(adopting: fcntl(descriptor, F_DUPFD_CLOEXEC, 0), path: path)
    for component in components {
      let next = openat(directory.descriptor, component, Self.pathOnly | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard next >= 0 else { throw FileError("open", name) }
      directory = OpenFile(adopting: next, path: name)
    }
    let opened = openat(directory.descriptor, last, flags | O_NOFOLLOW | O_CLOEXEC)
    guard opened >= 0 else { throw FileError("open", name) }
    return OpenFile(adopting: opened, path: name)
  }

  /// open(2): with `O_PATH` the descriptor stands for the place in the tree, and the file itself is not opened, so that
  /// neither a FIFO nor a device notices. The constant is declared under _GNU_SOURCE only; its value is the same on
  /// every architecture Swift has.
  private static let pathOnly: Int32 = 0o10000000
}
