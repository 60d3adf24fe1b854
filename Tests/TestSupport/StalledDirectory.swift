import DesiredStateTesting
import Foundation
import Glibc

/// Makes every open of a directory, or of a file in it, wait until this goes away: the disk that does not answer.
///
/// The kernel asks a listener before each such open, fanotify(7) `FAN_OPEN_PERM`, and this one never answers.
package final class StalledDirectory: Sendable {
  private let descriptor: Int32

  /// - Throws: ``NotPossible`` without the capability to administer the system, which fanotify(7) asks for.
  package init(_ path: String) throws {
    // Not in Swift's Glibc module. Prototypes of fanotify_init(2) and fanotify_mark(2).
    typealias Initialize = @convention(c) (UInt32, UInt32) -> Int32
    typealias Mark = @convention(c) (Int32, UInt32, UInt64, Int32, UnsafePointer<CChar>) -> Int32
    guard let initialize = dlsym(nil, "fanotify_init"), let mark = dlsym(nil, "fanotify_mark") else {
      throw NotPossible("this C library has no fanotify")
    }
    let (FAN_CLASS_CONTENT, FAN_CLOEXEC, FAN_NONBLOCK): (UInt32, UInt32, UInt32) = (0x4, 0x1, 0x2)
    descriptor = unsafeBitCast(initialize, to: Initialize.self)(
      FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, UInt32(O_RDONLY))
    guard descriptor >= 0 else {
      throw NotPossible("stalling a directory needs fanotify: \(String(cString: strerror(errno)))")
    }
    let (FAN_MARK_ADD, FAN_OPEN_PERM): (UInt32, UInt64) = (0x1, 0x1_0000)
    let (FAN_ONDIR, FAN_EVENT_ON_CHILD): (UInt64, UInt64) = (0x4000_0000, 0x0800_0000)
    guard
      unsafeBitCast(mark, to: Mark.self)(
        descriptor, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_ONDIR | FAN_EVENT_ON_CHILD, AT_FDCWD, path) == 0
    else {
      let code = errno
      close(descriptor)
      throw NotPossible("\(path) cannot be stalled: \(String(cString: strerror(code)))")
    }
  }

  /// Returns when an open waits; at the latest after a tenth of a second, because it may be open already.
  package func untilOpenWaits() async throws {
    try? await until("an open waits", within: .milliseconds(100)) {
      var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      return poll(&question, 1, 0) > 0
    }
    try Task.checkCancellation()
  }

  // An open that waits is let through when the listener is gone.
  deinit { close(descriptor) }
}
