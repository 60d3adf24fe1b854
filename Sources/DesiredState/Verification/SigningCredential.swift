import FoundationEssentials
import SSHSignatures

/// The key or certificate of a signature, whole, and what it signed. Kept with the adopted state: a list of revoked keys
/// can name a key by a digest, and a certificate by its number, its name or its authority, none of which a fingerprint
/// tells.
struct SigningCredential: Sendable, Hashable, Codable {
  /// The namespace of the signature (PROTOCOL.sshsig).
  var namespace: String
  /// The key or the certificate in SSH's encoding.
  var blob: Data

  /// The longest one that is kept, in bytes; of a larger one the fingerprint alone is known later.
  static let maximumSize = 16 * 1024

  init?(_ signature: SSHSignature) {
    let blob = signature.certificate?.blob ?? signature.publicKey.blob
    guard blob.count <= Self.maximumSize else { return nil }
    self.namespace = signature.namespace
    self.blob = Data(blob)
  }
}

/// A signer of the adopted state that does not count any more.
public struct RevokedSigner: Sendable, Hashable, Codable {
  /// The names that `allowed_signers` gave the key.
  public var principals: [String]
  /// The key's fingerprint as `ssh-keygen -l` prints it.
  public var key: String
  /// Why it does not count, as the end of a sentence about the key.
  public var reason: String

  init(_ signer: Signer, reason: String) {
    (principals, key) = (signer.principals, signer.key)
    self.reason = reason
  }
}

extension RevokedSigner: CustomStringConvertible {
  /// `ops@plant.example SHA256:… is revoked`
  public var description: String { (principals + [key, reason]).joined(separator: " ") }
}

extension TrustPolicy {
  /// Those signers of an adopted state that would not count today, and why: revoked in any way, or not among the allowed
  /// signers any more.
  ///
  /// Time alone takes nothing away: a key or certificate has signed while it was valid, and counts as it did then.
  func revokedOnes(of adopted: AdoptedState) -> [RevokedSigner] {
    adopted.signers.enumerated().compactMap { index, signer in
      let credential = adopted.credentials.flatMap { index < $0.count ? $0[index] : nil }
      let time = max(adopted.at, adopted.issued ?? adopted.at)
      return (credential.flatMap { fault(of: $0, at: time) } ?? fault(of: signer)).map {
        RevokedSigner(signer, reason: $0)
      }
    }
  }

  private func fault(of signer: Signer) -> String? {
    (revoked + revokedByUpdate).contains { $0.isRevoked(fingerprint: signer.key) }
      ? "\(RevokedKeys.Revocation.key)" : nil
  }

  private func fault(of credential: SigningCredential, at time: Date) -> String? {
    let lists = revoked + revokedByUpdate
    let revocation: RevokedKeys.Revocation?
    let trust: AllowedSigners.Trust?
    func asked<Value>(_ question: (AllowedSigners) -> Value) -> Value? {
      if case .signatures(let signers, _) = requirement { question(signers) } else { nil }
    }
    if let certificate = try? SSHCertificate(blob: credential.blob) {
      revocation = lists.lazy.compactMap { $0.revocation(of: certificate) }.first
      trust = asked {
        $0.trust(of: certificate, namespace: credential.namespace, named: requiresNamespaces, at: time)
      }
    } else if let key = try? SSHPublicKey(blob: credential.blob) {
      revocation = lists.contains { $0.isRevoked(key) } ? .key : nil
      trust = asked { $0.trust(of: key, namespace: credential.namespace, named: requiresNamespaces, at: time) }
    } else {
      return nil
    }
    if let revocation { return revocation.description }
    guard case .untrusted(let reason)? = trust else { return nil }
    switch reason {
    // The clock was wrong then: it said a time at which the key was not valid yet, and is.
    case .notYetValid, .certificateNotYetValid: return nil
    default: return reason.description
    }
  }
}
