import DesiredStateSupport
import Glibc

/// Tells a service manager how this process is (sd_notify(3)): datagrams on the socket that `NOTIFY_SOCKET` names. Without
/// that, it tells nothing.
struct ServiceNotifier: Sendable {
  private let path: String?
  /// How often the manager wants to hear that the process is alive, as half of what it waits for; nil if it does not.
  let watchdogInterval: Duration?

  init() {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    path = variable("NOTIFY_SOCKET").flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
    // sd_watchdog_enabled(3): it is for another process if WATCHDOG_PID is not this one.
    let isForThis = variable("WATCHDOG_PID").map { $0 == "\(getpid())" } ?? true
    watchdogInterval =
      isForThis ? variable("WATCHDOG_USEC").flatMap { Int64($0) }.map { .microseconds(max($0, 2) / 2) } : nil
    // Hooks must not speak for this process.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] { unsetenv(name) }
  }

  /// Sends assignments, one a line: `READY=1`. Trouble is no reason to stop: the manager notices by itself.
  func tell(_ assignments: String...) {
    guard let path else { return }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var name = Array(path.utf8)
    // unix(7): a name that begins with a zero byte is in the abstract namespace.
    if name[0] == UInt8(ascii: "@") { name[0] = 0 }
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard name.count < capacity else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + name.count)
    let message = Array(assignments.joined(separator: "\n").utf8)
    _ = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        // Never held up by a manager that does not read.
        sendto(
          descriptor, message, message.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT), $0, length)
      }
    }
  }

  /// One line that `systemctl status` shows.
  func status(_ text: String) { tell("STATUS=" + printable(text, limit: 512)) }

  /// Says again and again that the process is alive, each time when `isAlive` has returned. Ends when its task is cancelled.
  func watch(_ isAlive: @Sendable () async -> Void) async {
    guard let watchdogInterval else { return }
    while !Task.isCancelled {
      await isAlive()
      tell("WATCHDOG=1")
      try? await Task.sleep(for: watchdogInterval)
    }
  }
}
