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

  /// Gives the lock up now, whoever may still hold on to this value.
  ///
  /// Closing would not do: a child process that has been forked and has not executed yet shares the open file, and
  /// the lock with it.
  package func release() { flock(descriptor, LOCK_UN) }

  deinit {
    release()
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
