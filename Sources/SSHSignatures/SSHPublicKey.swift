import Crypto
import CryptoExtras
import DesiredStateSupport
import FoundationEssentials

/// An SSH public key that can check signatures.
///
/// Its identity is its exact encoding (`blob`), and each key has only one that is accepted: points on curves are
/// uncompressed, numbers have no needless leading zeros, nothing follows. One key can therefore not be counted as two.
public struct SSHPublicKey: Sendable {
  /// The name of a type of key, as in the first field of a public key (RFC 4253 section 6.6).
  public struct KeyType: RawRepresentable, Hashable, Sendable {
    public let rawValue: String

    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// Ed25519 (RFC 8709).
    public static let ed25519 = KeyType(rawValue: "ssh-ed25519")
    /// ECDSA on NIST P-256 (RFC 5656).
    public static let ecdsaP256 = KeyType(rawValue: "ecdsa-sha2-nistp256")
    /// ECDSA on NIST P-384 (RFC 5656).
    public static let ecdsaP384 = KeyType(rawValue: "ecdsa-sha2-nistp384")
    /// ECDSA on NIST P-521 (RFC 5656).
    public static let ecdsaP521 = KeyType(rawValue: "ecdsa-sha2-nistp521")
    /// RSA (RFC 4253), signing with SHA-2 (RFC 8332).
    public static let rsa = KeyType(rawValue: "ssh-rsa")
    /// Ed25519 on a FIDO security key (OpenSSH PROTOCOL.u2f).
    public static let securityKeyEd25519 = KeyType(rawValue: "sk-ssh-ed25519@openssh.com")
    /// ECDSA on NIST P-256 on a FIDO security key (OpenSSH PROTOCOL.u2f).
    public static let securityKeyECDSAP256 = KeyType(rawValue: "sk-ecdsa-sha2-nistp256@openssh.com")

    /// Every type that is accepted.
    public static let supported: [KeyType] = [
      .ed25519, .ecdsaP256, .ecdsaP384, .ecdsaP521, .rsa, .securityKeyEd25519, .securityKeyECDSAP256,
    ]

    var isOnSecurityKey: Bool {
      self == .securityKeyEd25519 || self == .securityKeyECDSAP256
    }
  }

  /// The accepted lengths of an RSA modulus, in bits: 2048 because shorter ones are within reach of an attacker (NIST
  /// SP 800-131A), 8192 because the cryptography underneath computes with nothing longer.
  public static let supportedRSABits = 2048...8192

  /// The longest `blob` that is looked at, in bytes. An RSA key of 8192 bits has 1,047.
  public static let maximumBlobSize = 16 * 1024

  /// The type of the key.
  public let type: KeyType

  /// The key as SSH encodes it (RFC 4253 section 6.6): what base64 shows in a `.pub` file.
  public let blob: [UInt8]

  let material: Material

  /// What a key on a security key was made for, usually "ssh:"; nil for any other key.
  let application: String?

  /// The numbers in a key, as the cryptography underneath took them.
  enum Material: Sendable {
    case ed25519(Curve25519.Signing.PublicKey)
    case ecdsaP256(P256.Signing.PublicKey)
    case ecdsaP384(P384.Signing.PublicKey)
    case ecdsaP521(P521.Signing.PublicKey)
    case rsa(_RSA.Signing.PublicKey, modulusSize: Int)
  }

  /// Reads a key in SSH's encoding (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, PROTOCOL.u2f).
  ///
  /// Throws `SSHPublicKeyError` when it is not exactly one key of a supported type.
  public init(blob: some Collection<UInt8>) throws(SSHPublicKeyError) {
    guard blob.count <= Self.maximumBlobSize else {
      throw .malformed("is longer than \(Self.maximumBlobSize) bytes")
    }
    self.blob = Array(blob)
    var reader = SSHWireReader(self.blob)
    guard let name = reader.readText() else {
      throw .malformed("does not begin with the name of its type")
    }
    type = KeyType(rawValue: name)
    material = try Material(of: type, from: &reader)
    application = type.isOnSecurityKey ? try Self.readApplication(from: &reader) : nil
    guard reader.isAtEnd else {
      throw .malformed("of type \(name) is followed by bytes that do not belong to it")
    }
  }

  /// Reads a key as a line of text: type, base64 and, if there is one, a comment, as in a `.pub` file.
  ///
  /// Throws `SSHPublicKeyError` when it is not exactly one key of a supported type.
  public init(parsing text: String) throws(SSHPublicKeyError) {
    let lines = text.utf8.split { $0 == 0x0a || $0 == 0x0d }
    guard lines.count <= 1 else {
      throw .malformed("has more than one line; give one key at a time")
    }
    let fields = lines.first?.split(maxSplits: 2) { $0 == 0x20 || $0 == 0x09 } ?? []
    guard let name = fields.first.map({ String(decoding: $0, as: UTF8.self) }) else {
      throw .malformed("is empty; write its type and its base64, as in a .pub file")
    }
    let type = KeyType(rawValue: name)
    guard KeyType.supported.contains(type) else {
      throw .unsupported(type)
    }
    guard fields.count > 1 else {
      throw .malformed("of type \(name) has no base64 behind its type")
    }
    guard let blob = decodeCanonicalBase64(fields[1].prefix(2 * Self.maximumBlobSize)) else {
      throw .malformed("of type \(name) is not in base64; copy the whole line from its .pub file")
    }
    try self.init(blob: blob)
    guard self.type == type else {
      throw .malformed("is called \(name), but its base64 holds a key of type \(self.type.rawValue)")
    }
  }

  /// PROTOCOL.u2f: the last field of a key on a security key.
  private static func readApplication(from reader: inout SSHWireReader) throws(SSHPublicKeyError) -> String {
    guard let application = reader.readText() else {
      throw .malformed("of a security key does not name its application")
    }
    return application
  }

  /// The key's fingerprint as `ssh-keygen -l` prints it: "SHA256:" and unpadded base64.
  public var fingerprint: String {
    let digest = Data(SHA256.hash(data: blob)).base64EncodedString()
    return "SHA256:" + String(digest.prefix { $0 != "=" })
  }

  /// The key as a line of a `.pub` file without its comment: type and base64.
  public var openSSHRepresentation: String {
    type.rawValue + " " + Data(blob).base64EncodedString()
  }
}

extension SSHPublicKey: Hashable {
  public static func == (one: SSHPublicKey, other: SSHPublicKey) -> Bool {
    one.blob == other.blob
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(blob)
  }
}

extension SSHPublicKey: CustomStringConvertible {
  /// The type and the fingerprint.
  public var description: String {
    "\(type.rawValue) \(fingerprint)"
  }
}

extension SSHPublicKeyError {
  static func malformed(_ predicate: String) -> SSHPublicKeyError {
    SSHPublicKeyError(code: .malformed, message: "the public key \(predicate)")
  }

  /// The error for a type that is not supported.
  static func unsupported(_ type: SSHPublicKey.KeyType) -> SSHPublicKeyError {
    let name = type.rawValue
    if name.contains("-cert-v0") {
      return SSHPublicKeyError(
        code: .certificate,
        message: "\(quoted(name)) is a certificate where a plain key is meant; "
          + "list the key of its authority instead, with cert-authority before it")
    }
    let supported = SSHPublicKey.KeyType.supported.map(\.rawValue).joined(separator: ", ")
    let reason =
      name == "ssh-dss" ? "DSA keys (ssh-dss) are unsafe" : "keys of type \(quoted(name)) are not supported"
    return SSHPublicKeyError(code: .unsupportedType, message: "\(reason); use one of \(supported)")
  }
}
