import DesiredStateSupport
import FoundationEssentials

/// An SSH signature of a message (OpenSSH's PROTOCOL.sshsig), such as `ssh-keygen -Y sign` makes.
///
/// The key inside says who claims to have signed; it is trusted only if `AllowedSigners` says so, and the claim holds
/// only if `verify` does not throw.
public struct SSHSignature: Sendable {
  /// The hash that shortens the message before it is signed (PROTOCOL.sshsig section 2).
  public enum HashAlgorithm: String, Sendable, CaseIterable {
    /// SHA-256.
    case sha256
    /// SHA-512.
    case sha512
  }

  /// The key that the signature claims to be made with; where it came with a certificate, the key in that.
  public let publicKey: SSHPublicKey

  /// The certificate that came with the signature, if one did. Its authority's signature holds.
  public let certificate: SSHCertificate?

  /// The purpose of the signature, so that one made for another purpose cannot be passed off as this one. Never
  /// empty.
  public let namespace: String

  /// The hash that shortens the message before it is signed.
  public let hashAlgorithm: HashAlgorithm

  /// The signature proper, in the encoding of its key's type.
  let signature: ArraySlice<UInt8>

  /// Reads the binary form (PROTOCOL.sshsig section 2), without armor.
  ///
  /// Throws `SSHSignatureError` when it is not exactly one signature of version 1 with a supported key and hash.
  public init(blob: some Collection<UInt8>) throws(SSHSignatureError) {
    var reader = SSHWireReader(Array(blob))
    guard let preamble = reader.readBytes(Self.preamble.count), preamble.elementsEqual(Self.preamble),
      let version = reader.readUInt32()
    else {
      throw .malformed("does not begin with SSHSIG and a version")
    }
    guard version == 1 else {
      throw SSHSignatureError(
        .unsupportedVersion, "the signature has version \(version) of the SSH signature format; only 1 is supported")
    }
    guard let key = reader.readString() else {
      throw .malformed("ends before its public key does")
    }
    if SSHCertificate.isCertificate(key) {
      let certificate = try Self.readCertificate(key)
      self.certificate = certificate
      publicKey = certificate.publicKey
    } else {
      certificate = nil
      publicKey = try Self.readPublicKey(key)
    }
    guard let namespace = reader.readText(), !namespace.isEmpty else {
      throw .malformed("does not name a namespace; sign with ssh-keygen -Y sign -n NAMESPACE")
    }
    self.namespace = namespace
    // "Implementations should ignore the reserved field if it is not empty": OpenSSH reads it and signs an empty one.
    guard reader.readString() != nil else {
      throw .malformed("ends before its reserved field does")
    }
    guard let hash = reader.readText() else {
      throw .malformed("does not name a hash")
    }
    guard let hashAlgorithm = HashAlgorithm(rawValue: hash) else {
      throw SSHSignatureError(
        .unsupportedHash, "the signature uses the hash \(quoted(hash)); sign with sha256 or sha512")
    }
    self.hashAlgorithm = hashAlgorithm
    guard let signature = reader.readString() else {
      throw .malformed("ends too early")
    }
    guard reader.isAtEnd else {
      throw .malformed("is followed by bytes that do not belong to it")
    }
    self.signature = signature
  }

  private static func readPublicKey(_ blob: ArraySlice<UInt8>) throws(SSHSignatureError) -> SSHPublicKey {
    do {
      return try SSHPublicKey(blob: blob)
    } catch {
      throw SSHSignatureError(
        error.code == .malformed ? .malformed : .unsupportedKey, "in the signature, \(error.message)",
        underlyingError: error)
    }
  }

  private static func readCertificate(_ blob: ArraySlice<UInt8>) throws(SSHSignatureError) -> SSHCertificate {
    do {
      return try SSHCertificate(blob: blob)
    } catch {
      let code: SSHSignatureError.Code =
        switch error.code {
        case .malformed: .malformed
        case .unsupportedKey: .unsupportedKey
        default: .certificateInvalid
        }
      throw SSHSignatureError(
        code, "in the signature, \(error.message)", underlyingError: error.underlyingError)
    }
  }

  private static let preamble = Array("SSHSIG".utf8)

  /// The bytes that the key signed (PROTOCOL.sshsig section 3) if it was for this namespace and this message.
  func signedData(namespace: String, messageDigest: [UInt8]) -> [UInt8] {
    var data = Self.preamble
    data.appendSSHString(namespace.utf8)
    data.appendSSHString([])
    data.appendSSHString(hashAlgorithm.rawValue.utf8)
    data.appendSSHString(messageDigest)
    return data
  }
}

extension SSHSignatureError {
  static func malformed(_ predicate: String) -> SSHSignatureError {
    SSHSignatureError(.malformed, "the signature \(predicate)")
  }
}
