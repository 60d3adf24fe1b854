/// Why an HTTP message signature or content digest was not made, or does not count.
public struct HTTPSignatureError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What kind of failure. Open: later versions may add codes.
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The message has no signature, or none with the label that was asked for.
    public static let missing = Code(rawValue: "signature-missing")
    /// The signature fields, or a field that is covered, cannot be read.
    public static let malformed = Code(rawValue: "signature-malformed")
    /// A component is covered that the message does not have, or that this package does not know.
    public static let component = Code(rawValue: "component-unavailable")
    /// A required component is not covered.
    public static let insufficient = Code(rawValue: "components-insufficient")
    /// It was made too long ago, is over, or lies in the future.
    public static let time = Code(rawValue: "signature-out-of-time")
    /// No key is known by its `keyid`, or the key is for another algorithm.
    public static let key = Code(rawValue: "key-unknown")
    /// The signature does not fit the message.
    public static let invalid = Code(rawValue: "signature-invalid")
    /// The body is not what its digest says.
    public static let digest = Code(rawValue: "digest-mismatch")
  }

  /// What kind of failure.
  public let code: Code
  /// What happened and what to do about it.
  public let message: String

  /// An error of a kind, with a message.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { "\(code.rawValue): \(message)" }
}
