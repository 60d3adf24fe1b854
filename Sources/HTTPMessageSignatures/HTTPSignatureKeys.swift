import Crypto
import CryptoExtras
import FoundationEssentials

/// How a signature is made (RFC 9421 section 3.3).
public enum HTTPSignatureAlgorithm: String, Sendable, Hashable, CaseIterable {
  /// RSASSA-PSS with SHA-512 (section 3.3.1).
  case rsaPSSSHA512 = "rsa-pss-sha512"
  /// RSASSA-PKCS1-v1_5 with SHA-256 (section 3.3.2).
  case rsaPKCS1SHA256 = "rsa-v1_5-sha256"
  /// HMAC with SHA-256 (section 3.3.3).
  case hmacSHA256 = "hmac-sha256"
  /// ECDSA on curve P-256 with SHA-256 (section 3.3.4).
  case ecdsaP256SHA256 = "ecdsa-p256-sha256"
  /// ECDSA on curve P-384 with SHA-384 (section 3.3.5).
  case ecdsaP384SHA384 = "ecdsa-p384-sha384"
  /// EdDSA on curve edwards25519 (section 3.3.6).
  case ed25519 = "ed25519"
}

/// A key that signs. It is never shown.
public struct HTTPSigningKey: Sendable, CustomStringConvertible {
  private enum Key: Sendable {
    case p256(P256.Signing.PrivateKey)
    case p384(P384.Signing.PrivateKey)
    case ed25519(Curve25519.Signing.PrivateKey)
    case rsa(_RSA.Signing.PrivateKey)
    case hmac(SymmetricKey)
  }
  private let key: Key
  /// What it signs by.
  public let algorithm: HTTPSignatureAlgorithm

  /// A private key in PEM form (PKCS #8, SEC 1 or PKCS #1), without a passphrase. The kind of key says the algorithm.
  ///
  /// - Parameters:
  ///   - pem: the text of the PEM file.
  ///   - rsa: what an RSA key signs by.
  /// - Throws: ``HTTPSignatureError`` if it cannot be read.
  public init(pem: String, rsa: HTTPSignatureAlgorithm = .rsaPKCS1SHA256) throws(HTTPSignatureError) {
    if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.p256(key), .ecdsaP256SHA256)
    } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.p384(key), .ecdsaP384SHA384)
    } else if let seed = PEM.content(pem, after: PEM.ed25519Private),
      let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
    {
      (self.key, algorithm) = (.ed25519(key), .ed25519)
    } else if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.rsa(key), rsa)
    } else {
      throw HTTPSignatureError(
        .key,
        "the private key cannot be read; it has to be PEM without a passphrase, of ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more"
      )
    }
  }

  /// A secret that signer and verifier share, for `hmac-sha256`.
  public init(sharedSecret: [UInt8]) {
    (key, algorithm) = (.hmac(SymmetricKey(data: sharedSecret)), .hmacSHA256)
  }

  /// The public half in PEM form (SubjectPublicKeyInfo); nil for a shared secret.
  public var publicKeyPEM: String? {
    switch key {
    case .p256(let key): key.publicKey.pemRepresentation
    case .p384(let key): key.publicKey.pemRepresentation
    case .ed25519(let key): PEM.text("PUBLIC KEY", PEM.ed25519Public + key.publicKey.rawRepresentation)
    case .rsa(let key): key.publicKey.pemRepresentation
    case .hmac: nil
    }
  }

  public var description: String { "a private key for \(algorithm.rawValue)" }

  func sign(_ base: [UInt8]) throws(HTTPSignatureError) -> [UInt8] {
    do {
      switch key {
      // RFC 9421 section 3.3.4: the two numbers side by side, not DER.
      case .p256(let key): return Array(try key.signature(for: base).rawRepresentation)
      case .p384(let key): return Array(try key.signature(for: base).rawRepresentation)
      case .ed25519(let key): return Array(try key.signature(for: base))
      case .rsa(let key):
        return algorithm == .rsaPSSSHA512
          ? Array(try key.signature(for: SHA512.hash(data: base), padding: .PSS).rawRepresentation)
          : Array(try key.signature(for: SHA256.hash(data: base), padding: .insecurePKCS1v1_5).rawRepresentation)
      case .hmac(let key): return Array(HMAC<SHA256>.authenticationCode(for: base, using: key))
      }
    } catch {
      throw HTTPSignatureError(.key, "the key cannot sign by \(algorithm.rawValue)")
    }
  }
}

/// A key that signatures are checked by.
public struct HTTPVerificationKey: Sendable {
  private enum Key: Sendable {
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)
    case ed25519(Curve25519.Signing.PublicKey)
    case rsa(_RSA.Signing.PublicKey)
    case hmac(SymmetricKey)
  }
  private let key: Key
  /// What its signatures are checked by.
  public let algorithm: HTTPSignatureAlgorithm

  /// A public key in PEM form (SubjectPublicKeyInfo).
  ///
  /// - Parameters:
  ///   - pem: the text of the PEM file.
  ///   - rsa: what signatures by an RSA key have to be.
  /// - Throws: ``HTTPSignatureError`` if it cannot be read.
  public init(pem: String, rsa: HTTPSignatureAlgorithm = .rsaPKCS1SHA256) throws(HTTPSignatureError) {
    if let key = try? P256.Signing.PublicKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.p256(key), .ecdsaP256SHA256)
    } else if let key = try? P384.Signing.PublicKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.p384(key), .ecdsaP384SHA384)
    } else if let point = PEM.content(pem, after: PEM.ed25519Public),
      let key = try? Curve25519.Signing.PublicKey(rawRepresentation: point)
    {
      (self.key, algorithm) = (.ed25519(key), .ed25519)
    } else if let key = try? _RSA.Signing.PublicKey(pemRepresentation: pem) {
      (self.key, algorithm) = (.rsa(key), rsa)
    } else {
      throw HTTPSignatureError(
        .key, "the public key cannot be read; it has to be PEM, of ECDSA P-256 or P-384, Ed25519 or RSA")
    }
  }

  /// A secret that signer and verifier share, for `hmac-sha256`.
  public init(sharedSecret: [UInt8]) {
    (key, algorithm) = (.hmac(SymmetricKey(data: sharedSecret)), .hmacSHA256)
  }

  func verify(_ signature: [UInt8], over base: [UInt8]) -> Bool {
    switch key {
    case .p256(let key):
      return (try? P256.Signing.ECDSASignature(rawRepresentation: signature))
        .map { key.isValidSignature($0, for: base) } ?? false
    case .p384(let key):
      return (try? P384.Signing.ECDSASignature(rawRepresentation: signature))
        .map { key.isValidSignature($0, for: base) } ?? false
    case .ed25519(let key): return key.isValidSignature(signature, for: base)
    case .rsa(let key):
      let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
      return algorithm == .rsaPSSSHA512
        ? key.isValidSignature(signature, for: SHA512.hash(data: base), padding: .PSS)
        : key.isValidSignature(signature, for: SHA256.hash(data: base), padding: .insecurePKCS1v1_5)
    case .hmac(let key): return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: base, using: key)
    }
  }
}

/// PEM (RFC 7468) of Ed25519 keys, for which swift-crypto has no initializer.
enum PEM {
  /// PKCS #8 (RFC 8410 section 7) up to the 32 bytes of the seed.
  static let ed25519Private = Data([0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20])
  /// SubjectPublicKeyInfo (RFC 8410 section 4) up to the 32 bytes of the point.
  static let ed25519Public = Data([0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0])

  /// What follows a prefix in the first block of a text.
  static func content(_ text: String, after prefix: Data) -> Data? {
    let lines = text.split(whereSeparator: \.isNewline).drop { !$0.hasPrefix("-----BEGIN ") }.dropFirst()
      .prefix { !$0.hasPrefix("-----END ") }
    guard let content = Data(base64Encoded: lines.joined()), content.count == prefix.count + 32,
      content.starts(with: prefix)
    else { return nil }
    return content.dropFirst(prefix.count)
  }

  static func text(_ label: String, _ content: Data) -> String {
    "-----BEGIN \(label)-----\n\(content.base64EncodedString())\n-----END \(label)-----"
  }
}
