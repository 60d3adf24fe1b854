import Crypto
public import DesiredState
import FoundationEssentials
import SSHSignatures

/// Signs manifests in a test, as `ssh-keygen -Y sign -n desired-state` would, with a key that lives in memory.
///
/// The signatures are real SSHSIG signatures by an Ed25519 key (OpenSSH `PROTOCOL.sshsig`), and ``allowedSigner`` is the
/// line of an `allowed_signers` file that trusts the key. Never use it outside a test: its keys come from a seed.
public struct TestSigner: Sendable {
  /// The name `allowed_signers` gives the key.
  public let principal: String
  private let key: Curve25519.Signing.PrivateKey

  /// A signer whose key is made from its name: the same name has the same key in every run.
  public init(_ principal: String = "ops@plant.example") {
    self.principal = principal
    let seed = SHA256.hash(data: Array("DesiredStateTesting \(principal)".utf8))
    guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: Array(seed)) else {
      preconditionFailure("any 32 bytes are an Ed25519 private key (RFC 8032 section 5.1.5)")
    }
    self.key = key
  }

  /// The line of an `allowed_signers` file (ssh-keygen(1), ALLOWED SIGNERS) that trusts this key, with a final newline.
  public var allowedSigner: String { allowedSigner(namespaces: ["desired-state"]) }

  /// The same for other namespaces, `git` for instance; with none, the line allows any.
  public func allowedSigner(namespaces: [String]) -> String {
    let options = namespaces.isEmpty ? "" : "namespaces=\"\(namespaces.joined(separator: ","))\" "
    return "\(principal) \(options)ssh-ed25519 \(Data(publicKeyBlob).base64EncodedString())\n"
  }

  /// An armored SSH signature over a message.
  public func sign(_ message: [UInt8], namespace: String = "desired-state") -> [UInt8] {
    let common = Self.string(Array(namespace.utf8)) + Self.string([]) + Self.string(Array("sha512".utf8))
    let signed = Array("SSHSIG".utf8) + common + Self.string(Array(SHA512.hash(data: message)))
    guard let raw = try? key.signature(for: signed) else { preconditionFailure("an Ed25519 key signs any message") }
    let signature = Self.string(Array("ssh-ed25519".utf8)) + Self.string(Array(raw))
    let blob = Array("SSHSIG".utf8) + [0, 0, 0, 1] + Self.string(publicKeyBlob) + common + Self.string(signature)
    return Self.armored(blob)
  }

  private var publicKeyBlob: [UInt8] {
    Self.string(Array("ssh-ed25519".utf8)) + Self.string(Array(key.publicKey.rawRepresentation))
  }

  /// A `string` of RFC 4251 section 5: a length of four bytes, then the bytes.
  private static func string(_ bytes: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt32(bytes.count).bigEndian, Array.init) + bytes
  }

  private static func armored(_ blob: [UInt8]) -> [UInt8] {
    var text = "-----BEGIN SSH SIGNATURE-----\n"
    var rest = Data(blob).base64EncodedString()[...]
    while !rest.isEmpty {
      text += rest.prefix(70) + "\n"
      rest = rest.dropFirst(70)
    }
    return Array((text + "-----END SSH SIGNATURE-----\n").utf8)
  }
}

extension TestSigner {
  /// The policy that asks for the signature of each of these signers; unsigned if there is none.
  public static func policy(_ signers: [TestSigner]) -> TrustPolicy {
    guard !signers.isEmpty else { return .unsigned }
    do {
      let allowed = try AllowedSigners(parsing: signers.map(\.allowedSigner).joined())
      return .signatures(by: allowed, threshold: signers.count)
    } catch {
      preconditionFailure("the line of a test signer is one of an allowed_signers file: \(error)")
    }
  }
}
