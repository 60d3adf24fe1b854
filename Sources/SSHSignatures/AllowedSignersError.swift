/// Why a file was not accepted as an `allowed_signers` file.
public struct AllowedSignersError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it was. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// A line that is not principals, options if any, and a key.
    public static let malformed = Code(rawValue: "malformed")
    /// An option that is not known, or whose value makes no sense.
    public static let invalidOption = Code(rawValue: "invalid-option")
    /// A key that cannot be used here; `underlyingError` says why.
    public static let unsupportedKey = Code(rawValue: "unsupported-key")
    /// A longer file than is looked at.
    public static let limitExceeded = Code(rawValue: "limit-exceeded")
  }

  /// What kind of reason it was.
  public let code: Code
  /// The number of the line, from 1, or nil when it is about the whole file.
  public let line: Int?
  /// The fault and the remedy, without the number of the line.
  public let message: String
  /// The fault of the line's key, when that is the reason.
  public let underlyingError: SSHPublicKeyError?

  init(_ code: Code, line: Int?, _ message: String, underlyingError: SSHPublicKeyError? = nil) {
    self.code = code
    self.line = line
    self.message = message
    self.underlyingError = underlyingError
  }

  /// The message, with the number of the line.
  public var description: String {
    guard let line else { return "allowed signers: \(message)" }
    return "allowed signers, line \(line): \(message)"
  }
}
