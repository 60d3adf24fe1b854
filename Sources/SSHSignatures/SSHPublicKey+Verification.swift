import Crypto
import CryptoExtras
import DesiredStateSupport
import FoundationEssentials

extension SSHPublicKey {
  /// Checks that this key made a signature, in the encoding of its type, over some bytes.
  ///
  /// - Parameter demandsVerifiedUser: whether a security key must have asked who touched it.
  /// - Throws: `SSHSignatureError`, which says why the signature does not hold.
  func verify(
    _ signature: ArraySlice<UInt8>, of data: some Collection<UInt8>, demandsVerifiedUser: Bool = false
  ) throws(SSHSignatureError) {
    var reader = SSHWireReader(signature)
    guard let type = reader.readText(), let value = reader.readString() else {
      throw .malformed("holds no signature type and value")
    }
    try checkType(type)
    let touch = application == nil ? nil : try Self.readTouch(from: &reader)
    guard reader.isAtEnd else {
      throw .malformed("is followed by bytes that do not belong to it")
    }
    var data = Array(data)
    if let touch, let application {
      data = touch.signedData(for: data, application: application)
    }
    guard try isValid(value, type: type, for: data) else {
      throw SSHSignatureError(
        .invalid, "the key \(self) did not sign this message: the message or the signature was changed")
    }
    guard let touch else { return }
    guard touch.isUserPresent else {
      throw SSHSignatureError(
        .userNotPresent,
        "the security key \(self) signed without being touched; sign with a key made without no-touch-required")
    }
    guard touch.isUserVerified || !demandsVerifiedUser else {
      throw SSHSignatureError(
        .userNotPresent,
        "the security key \(self) signed without asking for a PIN, which its certificate demands (verify-required)")
    }
  }

  /// A signature's type is its key's, except that RSA keys sign in more than one way (RFC 8332 section 3).
  private func checkType(_ type: String) throws(SSHSignatureError) {
    switch (self.type, type) {
    case (.rsa, "rsa-sha2-256"), (.rsa, "rsa-sha2-512"):
      return
    case (.rsa, "ssh-rsa"):
      throw SSHSignatureError(
        .unsupportedSignatureType,
        "the signature is RSA with SHA-1 (ssh-rsa), which can be forged; sign with rsa-sha2-512 or rsa-sha2-256")
    case (.securityKeyECDSAP256, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"):
      throw SSHSignatureError(
        .unsupportedSignatureType,
        "the signature was made in a web browser (webauthn), which is not supported; sign with ssh-keygen -Y sign")
    case (let keyType, _) where keyType != .rsa && keyType.rawValue == type:
      return
    default:
      throw SSHSignatureError(
        .signatureTypeMismatch,
        "the signature is of type \(quoted(type)), which a key of type \(self.type.rawValue) "
          + "does not make")
    }
  }

  private func isValid(
    _ value: ArraySlice<UInt8>, type: String, for data: [UInt8]
  ) throws(SSHSignatureError) -> Bool {
    switch material {
    case .ed25519(let key):
      return key.isValidSignature(value, for: data)
    case .ecdsaP256(let key):
      return try Self.isValidPair(value, integerSize: 32) {
        key.isValidSignature(try P256.Signing.ECDSASignature(rawRepresentation: $0), for: data)
      }
    case .ecdsaP384(let key):
      return try Self.isValidPair(value, integerSize: 48) {
        key.isValidSignature(try P384.Signing.ECDSASignature(rawRepresentation: $0), for: data)
      }
    case .ecdsaP521(let key):
      return try Self.isValidPair(value, integerSize: 66) {
        key.isValidSignature(try P521.Signing.ECDSASignature(rawRepresentation: $0), for: data)
      }
    case .rsa(let key, let modulusSize):
      return Self.isValidRSA(value, by: key, modulusSize: modulusSize, type: type, for: data)
    }
  }

  /// RFC 5656 section 3.1.2: the numbers r and s, here in their shortest form only. `check` gets both padded to the
  /// size of the curve's order.
  private static func isValidPair(
    _ value: ArraySlice<UInt8>, integerSize: Int, check: ([UInt8]) throws -> Bool
  ) throws(SSHSignatureError) -> Bool {
    var reader = SSHWireReader(value)
    guard let r = reader.readPositiveInteger(), let s = reader.readPositiveInteger(), reader.isAtEnd,
      r.count <= integerSize, s.count <= integerSize
    else {
      throw .malformed("of ECDSA does not hold two positive numbers in their shortest form that fit its curve")
    }
    let pair = padded(r, to: integerSize) + padded(s, to: integerSize)
    return (try? check(pair)) ?? false
  }

  /// RFC 8332 section 3: RSASSA-PKCS1-v1_5. As OpenSSH does, a number shorter than the modulus is padded.
  private static func isValidRSA(
    _ value: ArraySlice<UInt8>, by key: _RSA.Signing.PublicKey, modulusSize: Int, type: String, for data: [UInt8]
  ) -> Bool {
    guard value.count <= modulusSize else { return false }
    let signature = _RSA.Signing.RSASignature(rawRepresentation: padded(value, to: modulusSize))
    if type == "rsa-sha2-256" {
      return key.isValidSignature(signature, for: SHA256.hash(data: data), padding: .insecurePKCS1v1_5)
    }
    return key.isValidSignature(signature, for: SHA512.hash(data: data), padding: .insecurePKCS1v1_5)
  }

  private static func padded(_ number: ArraySlice<UInt8>, to size: Int) -> [UInt8] {
    Array(repeating: 0, count: size - number.count) + number
  }
}

extension SSHPublicKey {
  /// What a security key adds to a signature: how it came about (PROTOCOL.u2f, "SSH U2F signatures").
  private struct Touch {
    var flags: UInt8
    var counter: UInt32

    /// The key was touched.
    var isUserPresent: Bool { flags & 0x01 != 0 }

    /// The key asked who touched it (a PIN, a fingerprint).
    var isUserVerified: Bool { flags & 0x04 != 0 }

    /// What the security key signs in place of the data.
    func signedData(for data: [UInt8], application: String) -> [UInt8] {
      var signed = Array(SHA256.hash(data: Array(application.utf8)))
      signed.append(flags)
      signed.appendSSHUInt32(counter)
      signed.append(contentsOf: SHA256.hash(data: data))
      return signed
    }
  }

  private static func readTouch(from reader: inout SSHWireReader) throws(SSHSignatureError) -> Touch {
    guard let flags = reader.readByte(), let counter = reader.readUInt32() else {
      throw .malformed("of a security key does not hold its flags and its counter")
    }
    return Touch(flags: flags, counter: counter)
  }
}
