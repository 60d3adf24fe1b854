import Crypto
import CryptoExtras

extension SSHPublicKey.Material {
  /// Reads the numbers that follow the type in an encoded key.
  init(of type: SSHPublicKey.KeyType, from reader: inout SSHWireReader) throws(SSHPublicKeyError) {
    switch type {
    case .ed25519, .securityKeyEd25519:
      self = .ed25519(try Self.readEd25519(from: &reader))
    case .ecdsaP256, .securityKeyECDSAP256:
      let point = try Self.readPoint(onCurve: "nistp256", coordinateSize: 32, from: &reader)
      self = .ecdsaP256(try Self.onCurve { try P256.Signing.PublicKey(x963Representation: point) })
    case .ecdsaP384:
      let point = try Self.readPoint(onCurve: "nistp384", coordinateSize: 48, from: &reader)
      self = .ecdsaP384(try Self.onCurve { try P384.Signing.PublicKey(x963Representation: point) })
    case .ecdsaP521:
      let point = try Self.readPoint(onCurve: "nistp521", coordinateSize: 66, from: &reader)
      self = .ecdsaP521(try Self.onCurve { try P521.Signing.PublicKey(x963Representation: point) })
    case .rsa:
      self = try Self.readRSA(from: &reader)
    default:
      throw .unsupported(type)
    }
  }

  /// RFC 8709 section 4: a string of 32 bytes.
  private static func readEd25519(
    from reader: inout SSHWireReader
  ) throws(SSHPublicKeyError) -> Curve25519.Signing.PublicKey {
    guard let bytes = reader.readString(), bytes.count == 32 else {
      throw .malformed("of Ed25519 does not hold 32 bytes")
    }
    return try onCurve { try Curve25519.Signing.PublicKey(rawRepresentation: bytes) }
  }

  /// RFC 5656 section 3.1: the name of the curve and a point, which SSH allows to be compressed and OpenSSH does not.
  private static func readPoint(
    onCurve curve: String, coordinateSize: Int, from reader: inout SSHWireReader
  ) throws(SSHPublicKeyError) -> ArraySlice<UInt8> {
    guard reader.readText() == curve else {
      throw .malformed("of ECDSA does not name the curve \(curve)")
    }
    guard let point = reader.readString(), point.count == 1 + 2 * coordinateSize, point.first == 0x04 else {
      throw .malformed("of ECDSA does not hold an uncompressed point of the curve \(curve)")
    }
    return point
  }

  private static func onCurve<Key>(_ makeKey: () throws -> Key) throws(SSHPublicKeyError) -> Key {
    do {
      return try makeKey()
    } catch {
      throw .malformed("is not a point on its curve")
    }
  }

  /// RFC 4253 section 6.6: the exponent, then the modulus.
  private static func readRSA(from reader: inout SSHWireReader) throws(SSHPublicKeyError) -> Self {
    guard let exponent = reader.readPositiveInteger(), let modulus = reader.readPositiveInteger(),
      let first = modulus.first
    else {
      throw .malformed("of RSA does not hold two positive numbers in their shortest form")
    }
    let bits = modulus.count * 8 - first.leadingZeroBitCount
    guard SSHPublicKey.supportedRSABits.contains(bits) else {
      throw SSHPublicKeyError(
        code: .unsupportedSize,
        message: "the RSA key has \(bits) bits; use one of \(SSHPublicKey.supportedRSABits.lowerBound) to "
          + "\(SSHPublicKey.supportedRSABits.upperBound) bits, or Ed25519")
    }
    do {
      return .rsa(try _RSA.Signing.PublicKey(n: Array(modulus), e: Array(exponent)), modulusSize: modulus.count)
    } catch {
      throw .malformed("of RSA has an even modulus, or an exponent that is even, 1 or longer than 33 bits")
    }
  }
}
