import Foundation
import SSHSignatures

extension Read {
  private static let message = SSHSignature.Message(Array("message".utf8))
  private static let now = Date(timeIntervalSince1970: 1_800_000_000)

  static func sshSignature(_ bytes: [UInt8]) {
    if let signature = try? SSHSignature(blob: bytes) {
      check(!signature.namespace.isEmpty, "a signature has a namespace")
      try? signature.verify(message, namespace: "desired-state")
    }
    for case .success(let signature) in (try? SSHSignature.parseEach(armored: bytes)) ?? [] {
      try? signature.verify(message, namespace: signature.namespace)
    }
  }

  static func allowedSigners(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self), let signers = try? AllowedSigners(parsing: text) else {
      return
    }
    for entry in signers.entries.prefix(8) {
      let trust = signers.trust(of: entry.key, namespace: "desired-state", at: now)
      let narrow = signers.trust(of: entry.key, namespace: "desired-state", named: true, principal: "a", at: now)
      if case .trusted = narrow {
        guard case .trusted = trust else { fatalError("what is trusted for one name is trusted") }
      }
    }
  }

  static func certificate(_ bytes: [UInt8]) {
    if let certificate = try? SSHCertificate(blob: bytes) {
      if let signers = try? AllowedSigners(parsing: "") {
        guard case .untrusted = signers.trust(of: certificate, namespace: "a", at: now) else {
          fatalError("no authority is listed")
        }
      }
    }
    _ = try? SSHPublicKey(blob: bytes)
    if let text = String(validating: bytes, as: UTF8.self) { _ = try? SSHPublicKey(parsing: text) }
  }

  static func revokedKeys(_ bytes: [UInt8]) {
    guard let revoked = try? RevokedKeys(parsing: bytes) else { return }
    _ = revoked.isRevoked(fingerprint: "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
    let again = try? RevokedKeys(parsing: bytes)
    check(again?.digest == revoked.digest, "one list is one list")
  }
}
