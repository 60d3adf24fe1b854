import Crypto
import Foundation

@testable import SSHSignatures

/// Makes certificates that ssh-keygen would not make, signed by an authority of its own, and signatures with them.
struct CertificateForge {
  let authority = Curve25519.Signing.PrivateKey()
  let key = Curve25519.Signing.PrivateKey()

  static func publicBlob(_ key: Curve25519.Signing.PrivateKey) -> [UInt8] {
    sshStrings(Array("ssh-ed25519".utf8), Array(key.publicKey.rawRepresentation))
  }

  static func line(_ key: Curve25519.Signing.PrivateKey) -> String {
    "ssh-ed25519 " + Data(publicBlob(key)).base64EncodedString()
  }

  /// The fields of a certificate (PROTOCOL.certkeys), each as it will be encoded.
  struct Fields {
    var type = "ssh-ed25519-cert-v01@openssh.com"
    var serial: UInt64 = 7
    var kind: UInt32 = 1
    var keyID = Array("an id".utf8)
    var principals: [[UInt8]] = [Array("alice".utf8)]
    var principalsTail: [UInt8] = []
    var validAfter: UInt64 = 1_672_531_200  // 2023-01-01T00:00:00Z
    var validBefore: UInt64 = 1_672_617_600  // 2023-01-02T00:00:00Z
    var criticalOptions: [UInt8] = []
    var extensions: [UInt8] = []
    var reserved: [UInt8] = []
    var authorityBlob: [UInt8]?
    var tail: [UInt8] = []
    /// Changes a byte behind the authority's back.
    var isTampered = false
  }

  func certificate(_ fields: Fields = Fields()) throws -> [UInt8] {
    var blob = sshStrings(
      Array(fields.type.utf8), Array(repeating: 1, count: 32), Array(key.publicKey.rawRepresentation))
    blob.appendSSHUInt64(fields.serial)
    blob.appendSSHUInt32(fields.kind)
    blob.appendSSHString(fields.keyID)
    var principals: [UInt8] = []
    for principal in fields.principals { principals.appendSSHString(principal) }
    blob.appendSSHString(principals + fields.principalsTail)
    blob.appendSSHUInt64(fields.validAfter)
    blob.appendSSHUInt64(fields.validBefore)
    blob.appendSSHString(fields.criticalOptions)
    blob.appendSSHString(fields.extensions)
    blob.appendSSHString(fields.reserved)
    blob.appendSSHString(fields.authorityBlob ?? Self.publicBlob(authority))
    let signature = try authority.signature(for: blob)
    blob.appendSSHString(sshStrings(Array("ssh-ed25519".utf8), Array(signature)))
    if fields.isTampered { blob[100] ^= 1 }
    return blob + fields.tail
  }

  /// A signature's binary form, by the certified key, with the certificate in the key's place.
  func sign(_ message: [UInt8], certificate: [UInt8], namespace: String = "desired-state") throws -> [UInt8] {
    let data =
      Array("SSHSIG".utf8)
      + sshStrings(Array(namespace.utf8), [], Array("sha512".utf8), Array(SHA512.hash(data: message)))
    let signature = sshStrings(Array("ssh-ed25519".utf8), Array(try key.signature(for: data)))
    return signatureBlob(publicKey: certificate, namespace: namespace, signature: signature)
  }
}

extension [UInt8] {
  mutating func appendSSHUInt64(_ value: UInt64) {
    appendSSHUInt32(UInt32(value >> 32))
    appendSSHUInt32(UInt32(truncatingIfNeeded: value))
  }
}
