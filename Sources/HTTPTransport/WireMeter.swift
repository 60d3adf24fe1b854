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
  /// How long sent bytes may stay unacknowledged, in milliseconds.
  private let unacknowledgedLimit: UInt32

  /// A connection whose other side is gone is given up by the kernel before the stall limit has passed; an exchange that
  /// has not been answered then goes to a new connection by itself.
  init(_ configuration: HTTPTransportConfiguration) {
    let limit = min(configuration.stallLimit?.duration ?? .seconds(15), configuration.connectTimeout)
    unacknowledgedLimit = UInt32(max(1000, limit.milliseconds))
  }

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
      ccurl_tcp_watch(descriptor, unacknowledgedLimit, 60, 10)
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
