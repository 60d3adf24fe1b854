import DesiredStateSupport
import Glibc

/// Writes lines to a pipe, a file or a terminal without ever being held up by what reads there.
///
/// An agent must go on when its journal does not: a reader that is gone or has stopped reading is waited for a moment once,
/// then lines are left out until it reads again. How many is said on standard error, and where they belong.
final class LineWriter: Sendable {
  private struct State {
    var isStuck = false
    var leftOut = 0
  }
  private let descriptor: Int32
  /// Milliseconds.
  private let patience: Int32
  private let complain: @Sendable (String) -> Void
  private let state = LockedValue(State())

  init(_ descriptor: Int32, patience: Int32 = 2000, complain: @escaping @Sendable (String) -> Void) {
    self.descriptor = descriptor
    self.patience = patience
    self.complain = complain
    // signal(7): a write to a pipe without a reader would end the process.
    signal(SIGPIPE, SIG_IGN)
  }

  /// Writes a line with as few write(2) as its length allows, so that a reader of a pipe sees it at once and whole.
  func write(_ line: String) {
    state.withLock { state in
      guard write(Array((line + "\n").utf8), waiting: state.isStuck ? 0 : patience) else {
        if !state.isStuck {
          complain("standard output is closed or is not read; events are left out until it is")
        }
        state.isStuck = true
        state.leftOut += 1
        return
      }
      guard state.isStuck else { return }
      complain("standard output is read again; \(state.leftOut) events were left out")
      state = State()
    }
  }

  private func write(_ bytes: [UInt8], waiting patience: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      // A line that was begun is ended, if the reader reads at all.
      let ready = poll(&request, 1, rest.count == bytes.count ? patience : self.patience)
      if ready < 0, errno == EINTR { continue }
      guard ready > 0, request.revents & Int16(POLLOUT) != 0 else { return false }
      // pipe(7): when poll says so there is room for PIPE_BUF bytes, and writing that much does not wait.
      let count = min(rest.count, 4096)
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress!, count) }
      if written < 0, errno == EINTR || errno == EAGAIN { continue }
      guard written >= 0 else { return false }
      rest = rest.dropFirst(written)
    }
    return true
  }
}
