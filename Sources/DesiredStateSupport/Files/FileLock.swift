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

  /// Waits for the lock, for sections that take milliseconds; nil if it is still held when the time has passed. No wait
  /// is without end: flock(2) has no time limit of its own, so that it is asked again and again.
  package init?(_ path: String, waitingAtMost patience: Duration) throws(FileError) {
    let descriptor = try Self.open(path)
    let deadline = ContinuousClock.now + patience
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR else {
        Glibc.close(descriptor)
        throw FileError("lock", path, code: code)
      }
      guard ContinuousClock.now < deadline else {
        Glibc.close(descriptor)
        return nil
      }
      usleep(2000)
    }
    self.descriptor = descriptor
  }

  /// Gives the lock up now, even if this value is still held.
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
    let flags = isDirectory ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT | O_NONBLOCK
    let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("lock", path) }
    return descriptor
  }
}
