import Foundation
import Glibc
import TestSupport

/// A network of a thread's own, in which this machine's name server is there and never answers.
///
/// Threads and programs that the thread starts are in it too. Only root may make one.
package final class SilentNetwork {
  private let socket: Int32

  /// The first IPv4 name server of this machine.
  private static var nameServer: String? {
    let text = (try? String(contentsOfFile: "/etc/resolv.conf", encoding: .utf8)) ?? ""
    let servers = text.split(separator: "\n").filter { $0.hasPrefix("nameserver ") }.map { $0.dropFirst(11) }
    return servers.first { $0.contains(".") }.map(String.init)
  }

  package static var isPossible: Bool {
    getuid() == 0 && nameServer != nil && FileManager.default.isExecutableFile(atPath: "/usr/bin/ip")
  }

  /// Moves the calling thread into the new network.
  package init() throws {
    // unshare(2) is declared under _GNU_SOURCE only; CLONE_NEWNET is 0x40000000.
    typealias Unshare = @convention(c) (Int32) -> Int32
    guard let symbol = dlsym(nil, "unshare"), unsafeBitCast(symbol, to: Unshare.self)(0x4000_0000) == 0 else {
      throw ChildProcess.Failure(description: "unshare")
    }
    try ChildProcess.run(["/usr/bin/ip", "link", "set", "lo", "up"])
    if let nameServer = Self.nameServer, !nameServer.hasPrefix("127.") {
      try ChildProcess.run(["/usr/bin/ip", "address", "add", "\(nameServer)/32", "dev", "lo"])
    }
    socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(53).bigEndian
    let code = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw ChildProcess.Failure(description: "bind") }
  }

  /// Waits until the name server is asked.
  package func waitForQuestion() {
    var buffer = [UInt8](repeating: 0, count: 512)
    recv(socket, &buffer, buffer.count, 0)
  }

  deinit { close(socket) }
}
