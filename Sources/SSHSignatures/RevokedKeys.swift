import Crypto
import DesiredStateSupport
import FoundationEssentials

/// Keys and certificates that must not count any more: what `ssh-keygen -Y verify -r` reads.
///
/// Two forms are read, as ssh-keygen does: plain public keys, one a line, and OpenSSH's key revocation lists
/// (PROTOCOL.krl), which `ssh-keygen -k` makes and which can name certificates by serial number or key ID. A file that
/// is not understood to its end is refused: half of it read would let a revoked key pass.
public struct RevokedKeys: Sendable {
  /// Keys by their encoding.
  var keys: Set<[UInt8]> = []
  /// Keys by a digest of their encoding.
  var keySHA1s: Set<[UInt8]> = []
  var keySHA256s: Set<[UInt8]> = []
  /// Certificates by their authority's encoding.
  var certificates: [[UInt8]: CertificateList] = [:]
  /// Certificates by any authority.
  var certificatesByAny = CertificateList()

  /// Certificates of one authority.
  struct CertificateList: Sendable {
    var serials: [ClosedRange<UInt64>] = []
    var keyIDs: Set<[UInt8]> = []
  }

  /// The digest of the list; two files with the same revoke the same.
  public let digest: [UInt8]

  /// The longest file that is looked at, in bytes.
  public static let maximumFileSize = 16 * 1024 * 1024

  /// Reads revoked keys in either form.
  ///
  /// Throws `RevokedKeysError` at the first byte that is not understood; no part of the file is used then.
  public init(parsing bytes: some Collection<UInt8>) throws(RevokedKeysError) {
    guard bytes.count <= Self.maximumFileSize else {
      throw RevokedKeysError(.limitExceeded, "the file is longer than \(Self.maximumFileSize) bytes")
    }
    let bytes = Array(bytes)
    digest = Array(SHA256.hash(data: bytes))
    if bytes.starts(with: KeyRevocationListReader.magic) {
      var reader = KeyRevocationListReader(bytes)
      try reader.read(into: &self)
    } else {
      try readLines(bytes)
    }
  }

  /// Reads a file of revoked keys in either form.
  ///
  /// - Throws: `RevokedKeysError`, which names the line where there is one; an error of the file system.
  public static func read(_ path: String) async throws -> RevokedKeys {
    try await Worker("desired-state.trust").run {
      guard let bytes = try Files.read(path, limit: maximumFileSize) else {
        throw RevokedKeysError(.limitExceeded, "\(path) is longer than \(maximumFileSize) bytes")
      }
      return try RevokedKeys(parsing: bytes)
    }
  }

  /// Plain keys, one a line, with comments behind `#` at the start of a line. A certificate stands for its key.
  private mutating func readLines(_ bytes: [UInt8]) throws(RevokedKeysError) {
    for (index, line) in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
      let line = line.drop { $0 == 0x20 || $0 == 0x09 }
      guard let first = line.first, first != UInt8(ascii: "#"), !line.elementsEqual([0x0d]) else { continue }
      guard let text = String(validating: line, as: UTF8.self), !line.contains(0) else {
        throw RevokedKeysError(
          .malformed, "the file is neither a key revocation list nor text", line: index + 1)
      }
      do {
        keys.insert(try SSHPublicKey(parsing: text).blob)
      } catch {
        if let key = Self.certifiedKey(text) {
          keys.insert(key.blob)
        } else if !Self.isHarmless(error, text) {
          throw RevokedKeysError(
            error.code == .malformed ? .malformed : .unsupportedKey, error.message, line: index + 1)
        }
      }
    }
  }

  private static func certifiedKey(_ text: String) -> SSHPublicKey? {
    let fields = text.utf8.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
    guard fields.count > 1, let blob = decodeCanonicalBase64(fields[1]) else { return nil }
    return try? SSHCertificate(blob: blob).publicKey
  }

  /// A key that cannot sign here in any case: too short, or of a type that OpenSSH gave up.
  private static func isHarmless(_ error: SSHPublicKeyError, _ text: String) -> Bool {
    error.code == .unsupportedSize || error.code == .unsupportedType && text.hasPrefix("ssh-dss ")
  }
}

extension RevokedKeys {
  /// What makes a key or a certificate revoked.
  public enum Revocation: Hashable, Sendable, CustomStringConvertible {
    /// The key itself is listed.
    case key
    /// The certificate is listed, by its serial number or key ID.
    case certificate
    /// The certificate's authority is listed.
    case authority

    /// As the end of a sentence about the key.
    public var description: String {
      switch self {
      case .key: "is revoked"
      case .certificate: "came with a certificate that is revoked"
      case .authority: "came with a certificate whose authority is revoked"
      }
    }
  }

  /// Why the maker of a signature must not count, or nil if it may.
  public func revocation(of signature: SSHSignature) -> Revocation? {
    if isRevoked(signature.publicKey) { return .key }
    return signature.certificate.flatMap(revocation(of:))
  }

  /// Whether a plain key is listed.
  public func isRevoked(_ key: SSHPublicKey) -> Bool {
    if keys.contains(key.blob) { return true }
    if !keySHA1s.isEmpty, keySHA1s.contains(Array(Insecure.SHA1.hash(data: key.blob))) { return true }
    return !keySHA256s.isEmpty && keySHA256s.contains(Array(SHA256.hash(data: key.blob)))
  }

  /// Why a certificate must not count, or nil if it may.
  public func revocation(of certificate: SSHCertificate) -> Revocation? {
    if isRevoked(certificate.publicKey) { return .key }
    if certificatesByAny.contains(certificate) { return .certificate }
    if let list = certificates[certificate.authority.blob], list.contains(certificate) { return .certificate }
    return isRevoked(certificate.authority) ? .authority : nil
  }

  /// Whether a key with this fingerprint, as `ssh-keygen -l` prints it, is listed by itself.
  public func isRevoked(fingerprint: String) -> Bool {
    guard fingerprint.hasPrefix("SHA256:"), let digest = Data(base64Encoded: fingerprint.dropFirst(7) + "=") else {
      return false
    }
    return keySHA256s.contains(Array(digest)) || keys.contains { SHA256.hash(data: $0).elementsEqual(digest) }
  }
}

extension RevokedKeys.CertificateList {
  func contains(_ certificate: SSHCertificate) -> Bool {
    if keyIDs.contains(Array(certificate.keyID.utf8)) { return true }
    // PROTOCOL.krl: 0 is the number of certificates that were given none, and cannot be revoked by number.
    return certificate.serial != 0 && serials.contains { $0.contains(certificate.serial) }
  }
}
