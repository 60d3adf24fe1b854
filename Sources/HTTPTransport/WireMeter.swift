import CCurl
import DesiredStateSupport
import Glibc

/// Counts the bytes of every socket libcurl opens, and keeps the counts of those it has closed.
final class WireMeter: Sendable {
  private struct State: Sendable {
    var open: Set<Int32> = []
    var totals = HTTPWireCounters()
  }

  private let state = LockedValue(State())

  /// A reading that includes the connections still open.
  var counters: HTTPWireCounters {
    // The lock is held while the sockets are asked, so that none is closed and its number given to another file.
    state.withLock { state in
      var totals = state.totals
      for socket in state.open { Self.add(socket, to: &totals) }
      return totals
    }
  }

  func countRequest() {
    state.withLock { $0.totals.requests += 1 }
  }

  /// Opens what libcurl asks for, closed on exec so that no child program inherits a connection.
  func open(_ family: Int32, _ type: Int32, _ `protocol`: Int32) -> Int32 {
    let descriptor = socket(family, type | Int32(SOCK_CLOEXEC.rawValue), `protocol`)
    if descriptor >= 0 {
      state.withLock {
        $0.open.insert(descriptor)
        $0.totals.connections += 1
      }
    }
    return descriptor
  }

  func close(_ socket: Int32) -> Int32 {
    state.withLock { state in
      if state.open.remove(socket) != nil { Self.add(socket, to: &state.totals) }
      return Glibc.close(socket)
    }
  }

  private static func add(_ socket: Int32, to totals: inout HTTPWireCounters) {
    var sent: UInt64 = 0
    var received: UInt64 = 0
    if ccurl_tcp_counts(socket, &sent, &received) != 0 {
      totals.bytesSent += sent
      totals.bytesReceived += received
    }
  }
}
