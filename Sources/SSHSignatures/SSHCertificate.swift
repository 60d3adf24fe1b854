public import FoundationEssentials

/// An OpenSSH certificate (PROTOCOL.certkeys): a public key that a certificate authority vouches for, with the names
/// and the time for which it does.
///
/// A value of this type carries a good signature by its `authority`. That says nothing yet about trust: the authority
/// is trusted only if `AllowedSigners` lists it with `cert-authority`.
public struct SSHCertificate: Sendable {
  /// For which side of a connection a certificate is made. Only a user's may sign anything here.
  public enum Kind: UInt32, Sendable {
    /// A user's.
    case user = 1
    /// A host's.
    case host = 2
  }

  /// A critical option or an extension: its name, and its value as it stands in the certificate.
  public struct Option: Hashable, Sendable {
    /// Its name.
    public let name: String
    /// Its value, empty for a flag.
    public let value: [UInt8]
  }

  /// The whole certificate in SSH's encoding.
  public let blob: [UInt8]
  /// The key that the authority vouches for.
  public let publicKey: SSHPublicKey
  /// The authority's number for this certificate; 0 where it gives none.
  public let serial: UInt64
  /// For which side it is made.
  public let kind: Kind
  /// The authority's name for it (`ssh-keygen -I`), for logs and revocation.
  public let keyID: String
  /// Who the key belongs to. A certificate without a principal is good for no name.
  public let principals: [String]
  /// The first second at which it is valid, in seconds since 1970.
  public let validAfter: UInt64
  /// The first second at which it is not valid any more, in seconds since 1970; the largest number for ever.
  public let validBefore: UInt64
  /// What a verifier must understand to accept the certificate.
  public let criticalOptions: [Option]
  /// What a verifier may ignore.
  public let extensions: [Option]
  /// The key that signed the certificate. Never a certificate itself.
  public let authority: SSHPublicKey

  /// The most principals that are looked at, as for OpenSSH.
  public static let maximumPrincipalCount = 256

  /// The longest certificate that is looked at, in bytes.
  public static let maximumBlobSize = 64 * 1024

  /// The name of a certificate's type, its key's type, and of how many fields such a key consists.
  private static let types: [String: (key: SSHPublicKey.KeyType, fieldCount: Int)] = [
    "ssh-ed25519-cert-v01@openssh.com": (.ed25519, 1),
    "ecdsa-sha2-nistp256-cert-v01@openssh.com": (.ecdsaP256, 2),
    "ecdsa-sha2-nistp384-cert-v01@openssh.com": (.ecdsaP384, 2),
    "ecdsa-sha2-nistp521-cert-v01@openssh.com": (.ecdsaP521, 2),
    "ssh-rsa-cert-v01@openssh.com": (.rsa, 2),
    "sk-ssh-ed25519-cert-v01@openssh.com": (.securityKeyEd25519, 2),
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": (.securityKeyECDSAP256, 3),
  ]

  /// Whether a key's encoding begins with the name of a certificate's type.
  static func isCertificate(_ blob: ArraySlice<UInt8>) -> Bool {
    var reader = SSHWireReader(blob)
    return reader.readText().map { types[$0] != nil } ?? false
  }

  /// Reads a certificate in SSH's encoding, and checks its authority's signature.
  ///
  /// Throws `SSHCertificateError` when it is not exactly one certificate of a supported type, when its authority is a
  /// certificate itself, or when the authority did not sign it.
  public init(blob: some Collection<UInt8>) throws(SSHCertificateError) {
    guard blob.count <= Self.maximumBlobSize else {
      throw .malformed("is longer than \(Self.maximumBlobSize) bytes")
    }
    self.blob = Array(blob)
    var reader = SSHWireReader(self.blob)
    guard let name = reader.readText(), let type = Self.types[name] else {
      throw SSHCertificateError(.unsupportedType, "the certificate is of no type that is supported here")
    }
    // The nonce only makes the signed bytes unpredictable.
    guard reader.readString() != nil else { throw .malformed("has no nonce") }
    publicKey = try Self.readKey(type.key, fieldCount: type.fieldCount, from: &reader)
    guard let serial = reader.readUInt64(), let kindNumber = reader.readUInt32(), let keyID = reader.readText(),
      let principals = reader.readString(), let validAfter = reader.readUInt64(),
      let validBefore = reader.readUInt64(), let criticalOptions = reader.readString(),
      let extensions = reader.readString(), reader.readString() != nil, let authority = reader.readString()
    else { throw .malformed("ends too early, or has a name in it that is not text") }
    guard let kind = Kind(rawValue: kindNumber) else {
      throw .malformed("is neither for a user nor for a host")
    }
    let signedSize = self.blob.count - reader.remainingCount
    guard let signature = reader.readString() else { throw .malformed("has no signature") }
    guard reader.isAtEnd else { throw .malformed("is followed by bytes that do not belong to it") }
    self.serial = serial
    self.kind = kind
    self.keyID = keyID
    self.principals = try Self.readPrincipals(principals)
    self.validAfter = validAfter
    self.validBefore = validBefore
    self.criticalOptions = try Self.readOptions(criticalOptions)
    self.extensions = try Self.readOptions(extensions)
    self.authority = try Self.readAuthority(authority)
    do {
      try self.authority.verify(signature, of: self.blob.prefix(signedSize))
    } catch {
      throw SSHCertificateError(
        .signatureInvalid,
        "its authority \(self.authority) did not sign the certificate: \(error.message); have it made again")
    }
  }

  /// The fields of the key itself are those of a plain key.
  private static func readKey(
    _ type: SSHPublicKey.KeyType, fieldCount: Int, from reader: inout SSHWireReader
  ) throws(SSHCertificateError) -> SSHPublicKey {
    var blob: [UInt8] = []
    blob.appendSSHString(type.rawValue.utf8)
    for _ in 0..<fieldCount {
      guard let field = reader.readString() else { throw .malformed("ends before its public key does") }
      blob.appendSSHString(field)
    }
    do {
      return try SSHPublicKey(blob: blob)
    } catch {
      throw SSHCertificateError(.unsupportedKey, "in the certificate, \(error.message)", underlyingError: error)
    }
  }

  private static func readPrincipals(_ bytes: ArraySlice<UInt8>) throws(SSHCertificateError) -> [String] {
    var reader = SSHWireReader(bytes)
    var principals: [String] = []
    while !reader.isAtEnd {
      guard let principal = reader.readText() else { throw .malformed("has a principal that is not text") }
      guard principals.count < maximumPrincipalCount else {
        throw .malformed("has more than \(maximumPrincipalCount) principals")
      }
      principals.append(principal)
    }
    return principals
  }

  private static func readOptions(_ bytes: ArraySlice<UInt8>) throws(SSHCertificateError) -> [Option] {
    var reader = SSHWireReader(bytes)
    var options: [Option] = []
    while !reader.isAtEnd {
      guard let name = reader.readText(), let value = reader.readString() else {
        throw .malformed("has an option without a name or a value")
      }
      options.append(Option(name: name, value: Array(value)))
    }
    return options
  }

  private static func readAuthority(_ blob: ArraySlice<UInt8>) throws(SSHCertificateError) -> SSHPublicKey {
    guard !isCertificate(blob) else {
      throw SSHCertificateError(
        .nestedAuthority,
        "the certificate's authority is a certificate itself; authorities do not nest, sign with the authority's key")
    }
    do {
      return try SSHPublicKey(blob: blob)
    } catch {
      throw SSHCertificateError(
        .unsupportedKey, "of the certificate's authority, \(error.message)", underlyingError: error)
    }
  }

  /// The first time at which it is valid.
  public var notBefore: Date { Date(timeIntervalSince1970: TimeInterval(validAfter)) }
  /// The first time at which it is not valid any more, or nil for ever.
  public var notAfter: Date? {
    validBefore == .max ? nil : Date(timeIntervalSince1970: TimeInterval(validBefore))
  }
}

extension SSHCertificate: CustomStringConvertible {
  /// The key, and what the authority calls the certificate.
  public var description: String {
    "\(publicKey) (certificate \(quotedKeyID), serial \(serial), by \(authority))"
  }
}
