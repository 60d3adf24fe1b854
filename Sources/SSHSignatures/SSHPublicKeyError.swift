/// Why bytes or text were not accepted as an SSH public key.
public struct SSHPublicKeyError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it was. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The bytes are not a public key in the form the SSH standards give it.
    public static let malformed = Code(rawValue: "malformed")
    /// A key of a type that cannot be used here, such as DSA.
    public static let unsupportedType = Code(rawValue: "unsupported-type")
    /// An OpenSSH certificate, not a plain key.
    public static let certificate = Code(rawValue: "certificate")
    /// An RSA key that is too short to be safe, or too long to be checked.
    public static let unsupportedSize = Code(rawValue: "unsupported-size")
  }

  /// What kind of reason it was.
  public let code: Code
  /// The fault and the remedy.
  public let message: String

  public var description: String { message }
}
