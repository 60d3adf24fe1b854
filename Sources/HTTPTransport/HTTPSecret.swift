/// A credential that never shows itself: neither when printed, nor dumped, nor mirrored.
public struct HTTPSecret: Sendable, Hashable {
  let value: String

  public init(_ value: String) { self.value = value }
}

extension HTTPSecret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "•••" }
  public var debugDescription: String { "•••" }
  /// Without children, so that `dump` and a failing test's report show nothing.
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// What the transport proves itself with, and to whom.
///
/// Credentials are bound to one origin: a request to any other origin goes without them, and a
/// redirect that would leave the origin is refused while they are carried.
public struct HTTPCredentials: Sendable, Hashable {
  /// The kind of proof.
  public enum Scheme: Sendable, Hashable {
    /// `Authorization: Bearer …` (RFC 6750).
    case bearer(HTTPSecret)
    /// `Authorization: Basic …` (RFC 7617). The user name cannot contain a colon.
    case basic(user: String, password: HTTPSecret)
  }

  /// The only origin that is shown the credentials.
  public var origin: HTTPOrigin
  public var scheme: Scheme

  public init(_ scheme: Scheme, for origin: HTTPOrigin) {
    self.scheme = scheme
    self.origin = origin
  }
}
