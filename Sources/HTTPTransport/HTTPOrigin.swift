/// Scheme, host and port: what a web origin is (RFC 6454), for `http` and `https`.
public struct HTTPOrigin: Sendable, Hashable, CustomStringConvertible {
  /// `http` or `https`.
  public let scheme: String
  /// In lower case; an IPv6 address keeps its brackets.
  public let host: String
  /// The port, also where it is the scheme's own.
  public let port: Int

  /// The origin of a URL.
  ///
  /// Throws ``HTTPTransportError`` (`invalid-request`) when it is not an `http` or `https` URL, or
  /// holds a user name or password.
  public init(of url: String) throws(HTTPTransportError) {
    self = try HTTPAddress(url).origin
  }

  init(scheme: String, host: String, port: Int) {
    self.scheme = scheme
    self.host = host
    self.port = port
  }

  /// Host and port as a request names them: without the port where it is the scheme's own.
  public var authority: String { port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)" }

  /// Whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1 (RFC 6761 section 6.3, RFC 5735, RFC 4291).
  public var isLoopback: Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return host == "localhost" || host.hasSuffix(".localhost") || host == "[::1]"
      || (parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
  }

  /// As in a URL, with the port always written out.
  public var description: String { "\(scheme)://\(host):\(port)" }
}
