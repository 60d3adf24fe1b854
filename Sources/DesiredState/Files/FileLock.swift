import Glibc

/// An exclusive lock on a file or directory, held until it goes out of use; the kernel drops it with the process.
package final class FileLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock, or returns nil at once if another process, or this one, holds it.
  ///
  /// flock(2) locks belong to the open file, so two openings in one process exclude each other as well.
  package init?(_ path: String) throws(FileError) {
    let descriptor = try Self.open(path)
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let code = errno
      Glibc.close(descriptor)
      guard code == EWOULDBLOCK else { throw FileError("lock", path, code: code) }
      return nil
    }
    self.descriptor = descriptor
  }

  /// Waits for the lock: for sections so short that waiting is shorter than asking again.
  package init(waitingFor path: String) throws(FileError) {
    let descriptor = try Self.open(path)
    while flock(descriptor, LOCK_EX) != 0 {
      guard errno == EINTR else {
        let error = FileError("lock", path)
        Glibc.close(descriptor)
        throw error
      }
    }
    self.descriptor = descriptor
  }

  /// Unlocked by name and not only closed: a child process that is just being started has the same open file until it
  /// executes its program, and would hold the lock that long.
  deinit {
    flock(descriptor, LOCK_UN)
    Glibc.close(descriptor)
  }

  private static func open(_ path: String) throws(FileError) -> Int32 {
    let isDirectory = Files.isDirectory(path)
    let flags = isDirectory ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileError("lock", path) }
    return descriptor
  }
}
