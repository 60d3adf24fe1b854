import FoundationEssentials

/// A credential that never shows itself: neither when printed, nor dumped, nor mirrored.
public struct HTTPSecret: Sendable, Hashable {
  enum Content: Sendable, Hashable {
    case text(String)
    case file(String)
  }

  let content: Content

  /// A secret that is at hand.
  public init(_ value: String) { content = .text(value) }

  /// A secret in a file: one word of ASCII, with white space around it. It is read when it is first needed, and again when
  /// the file changes. While the file holds no such word, the secret that it held before counts.
  public init(file path: String) { content = .file(path) }

  /// The secret, if it was given as such.
  var value: String? { if case .text(let text) = content { text } else { nil } }
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
  /// How the credentials are shown.
  public var scheme: Scheme

  /// What basic authentication sends (RFC 7617 section 2).
  static func basic(_ user: String, _ password: String) -> String {
    Data("\(user):\(password)".utf8).base64EncodedString()
  }

  /// Credentials for one origin; they go to no other.
  public init(_ scheme: Scheme, for origin: HTTPOrigin) {
    self.scheme = scheme
    self.origin = origin
  }
}
