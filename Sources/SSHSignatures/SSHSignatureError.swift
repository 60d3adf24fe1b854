/// Why an SSH signature could not be read, or does not hold.
public struct SSHSignatureError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it was. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The file does not begin with an armored SSH signature.
    public static let missing = Code(rawValue: "missing")
    /// The bytes are not in the form that OpenSSH's PROTOCOL.sshsig gives a signature.
    public static let malformed = Code(rawValue: "malformed")
    /// More blocks or bytes than are looked at.
    public static let limitExceeded = Code(rawValue: "limit-exceeded")
    /// A version of the format other than 1.
    public static let unsupportedVersion = Code(rawValue: "unsupported-version")
    /// A hash of the message other than SHA-256 and SHA-512.
    public static let unsupportedHash = Code(rawValue: "unsupported-hash")
    /// A key that cannot be used here; `underlyingError` says why.
    public static let unsupportedKey = Code(rawValue: "unsupported-key")
    /// A certificate that its authority did not sign, or whose authority is a certificate itself.
    public static let certificateInvalid = Code(rawValue: "certificate-invalid")
    /// A way of signing that is not accepted, such as RSA with SHA-1.
    public static let unsupportedSignatureType = Code(rawValue: "unsupported-signature-type")
    /// Made for another purpose than the one asked about.
    public static let namespaceMismatch = Code(rawValue: "namespace-mismatch")
    /// The signature is of a type that its key does not make.
    public static let signatureTypeMismatch = Code(rawValue: "signature-type-mismatch")
    /// Made by a security key that was not touched.
    public static let userNotPresent = Code(rawValue: "user-not-present")
    /// The key did not sign this message: one of the two was changed.
    public static let invalid = Code(rawValue: "invalid")
  }

  /// What kind of reason it was.
  public let code: Code
  /// The fault and the remedy.
  public let message: String
  /// The fault of the key, when that is the reason.
  public let underlyingError: SSHPublicKeyError?

  init(_ code: Code, _ message: String, underlyingError: SSHPublicKeyError? = nil) {
    self.code = code
    self.message = message
    self.underlyingError = underlyingError
  }

  public var description: String { message }
}
