/// What went over the wire since the transport was made.
///
/// Bytes are the kernel's own counts of each TCP connection (TCP_INFO): TLS, framing, handshakes
/// and proxies included, IP and TCP headers and retransmissions not. Subtract two readings to
/// learn what lay between them.
public struct HTTPWireCounters: Sendable, Hashable {
  /// Bytes that were sent.
  public var bytesSent: UInt64 = 0
  /// Bytes that were received.
  public var bytesReceived: UInt64 = 0
  /// Requests that were sent, redirects followed included: each is one round trip on a kept connection.
  public var requests: UInt64 = 0
  /// TCP connections begun; an attempt that fails counts too.
  public var connections: UInt64 = 0

  /// Nothing yet.
  public init() {}

  /// What went over the wire between two readings.
  public static func - (left: HTTPWireCounters, right: HTTPWireCounters) -> HTTPWireCounters {
    var difference = HTTPWireCounters()
    difference.bytesSent = left.bytesSent - right.bytesSent
    difference.bytesReceived = left.bytesReceived - right.bytesReceived
    difference.requests = left.requests - right.requests
    difference.connections = left.connections - right.connections
    return difference
  }
}
