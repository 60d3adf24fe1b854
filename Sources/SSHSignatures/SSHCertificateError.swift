import DesiredStateSupport

/// Why bytes were not accepted as an OpenSSH certificate.
public struct SSHCertificateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What kind of reason it was. New kinds may be added.
  public struct Code: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The bytes are not in the form that OpenSSH's PROTOCOL.certkeys gives a certificate.
    public static let malformed = Code(rawValue: "malformed")
    /// A type of certificate that is not supported.
    public static let unsupportedType = Code(rawValue: "unsupported-type")
    /// A key in the certificate, or of its authority, that cannot be used here; `underlyingError` says why.
    public static let unsupportedKey = Code(rawValue: "unsupported-key")
    /// The authority is a certificate itself.
    public static let nestedAuthority = Code(rawValue: "nested-authority")
    /// The authority did not sign these bytes.
    public static let signatureInvalid = Code(rawValue: "signature-invalid")
  }

  /// What kind of reason it was.
  public let code: Code
  /// The fault and the remedy.
  public let message: String
  /// The fault of a key, when that is the reason.
  public let underlyingError: SSHPublicKeyError?

  init(_ code: Code, _ message: String, underlyingError: SSHPublicKeyError? = nil) {
    self.code = code
    self.message = message
    self.underlyingError = underlyingError
  }

  static func malformed(_ predicate: String) -> SSHCertificateError {
    SSHCertificateError(.malformed, "the certificate \(predicate)")
  }

  public var description: String { message }
}

extension SSHCertificate {
  /// The authority's name for it, safe to show.
  var quotedKeyID: String { quoted(keyID) }
}
