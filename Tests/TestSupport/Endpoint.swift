import Foundation
import Glibc

/// Where a server of the tests listens.
package enum Endpoint: Sendable {
  /// A port of 127.0.0.1.
  case port(Int)
  /// A socket in the file system.
  case path(String)

  /// A port that no other program of this machine is given until this process ends.
  ///
  /// A socket that is bound and does not listen holds it (socket(7), `SO_REUSEADDR`): the server that it is for, which
  /// sets the same option as servers do, can listen there; no bind(2) or connect(2) that leaves the choice to the
  /// kernel is given it; and as long as no server is there, connections are refused.
  package static func reservedPort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    return withAddress(ofPort: 0) { address, length in
      var length = length
      precondition(bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0)
      return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    }
  }

  /// Whether a server listens there.
  package var isServed: Bool {
    guard let descriptor = connected() else { return false }
    close(descriptor)
    return true
  }

  /// Says something to the server, and returns when the server has closed the connection.
  package func say(_ text: String) async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      Thread.detachNewThread {
        defer { continuation.resume() }
        guard let descriptor = connected() else { return }
        defer { close(descriptor) }
        var answer = [UInt8](repeating: 0, count: 4096)
        _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
        while recv(descriptor, &answer, answer.count, 0) > 0 {}
      }
    }
  }

  /// A connection, for the caller to close; nil if no server listens there.
  private func connected() -> Int32? {
    let family = if case .port = self { AF_INET } else { AF_UNIX }
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let isConnected =
      switch self {
      case .port(let port): Self.withAddress(ofPort: port) { connect(descriptor, $0, $1) == 0 }
      case .path(let path): Self.withAddress(ofPath: path) { connect(descriptor, $0, $1) == 0 }
      }
    if isConnected { return descriptor }
    close(descriptor)
    return nil
  }

  private static func withAddress<Value>(
    ofPort port: Int, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Value
  ) -> Value {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    return withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func withAddress<Value>(
    ofPath path: String, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Value
  ) -> Value {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    precondition(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path), "\(path) is too long for a socket")
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}
