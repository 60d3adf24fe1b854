/// Why a file was not accepted as revoked keys.
public struct RevokedKeysError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it was. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// A line that is not a key, or bytes that are not in the form that OpenSSH's PROTOCOL.krl gives a list.
    public static let malformed = Code(rawValue: "malformed")
    /// A key of an unknown type.
    public static let unsupportedKey = Code(rawValue: "unsupported-key")
    /// A version or a section of a key revocation list that is not known here.
    public static let unsupportedSection = Code(rawValue: "unsupported-section")
    /// A longer file than is looked at.
    public static let limitExceeded = Code(rawValue: "limit-exceeded")
  }

  /// What kind of reason it was.
  public let code: Code
  /// The number of the line, from 1, or nil where there are none.
  public let line: Int?
  /// The fault and the remedy, without the number of the line.
  public let message: String

  init(_ code: Code, _ message: String, line: Int? = nil) {
    self.code = code
    self.line = line
    self.message = message
  }

  /// The message, with the number of the line.
  public var description: String {
    guard let line else { return "revoked keys: \(message)" }
    return "revoked keys, line \(line): \(message)"
  }
}
