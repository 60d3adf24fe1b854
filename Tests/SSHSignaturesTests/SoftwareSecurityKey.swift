import Crypto
import Foundation

@testable import SSHSignatures

/// A FIDO security key in software: signs what PROTOCOL.u2f says, as if it was touched or not.
struct SoftwareSecurityKey {
  enum Kind: CaseIterable {
    case ed25519
    case ecdsaP256
  }

  let kind: Kind
  let application: String
  private let ed25519 = Curve25519.Signing.PrivateKey()
  private let ecdsa = P256.Signing.PrivateKey()

  init(_ kind: Kind, application: String = "ssh:") {
    self.kind = kind
    self.application = application
  }

  var typeName: String {
    switch kind {
    case .ed25519: "sk-ssh-ed25519@openssh.com"
    case .ecdsaP256: "sk-ecdsa-sha2-nistp256@openssh.com"
    }
  }

  var publicBlob: [UInt8] {
    switch kind {
    case .ed25519:
      sshStrings(Array(typeName.utf8), Array(ed25519.publicKey.rawRepresentation), Array(application.utf8))
    case .ecdsaP256:
      sshStrings(
        Array(typeName.utf8), Array("nistp256".utf8), Array(ecdsa.publicKey.x963Representation),
        Array(application.utf8))
    }
  }

  var publicLine: String {
    "\(typeName) \(Data(publicBlob).base64EncodedString())"
  }

  /// An armored signature.
  func sign(
    _ message: [UInt8], namespace: String = "desired-state", flags: UInt8 = 0x01, counter: UInt32 = 7,
    signedApplication: String? = nil
  ) throws -> [UInt8] {
    let data =
      Array("SSHSIG".utf8)
      + sshStrings(Array(namespace.utf8), [], Array("sha512".utf8), Array(SHA512.hash(data: message)))
    var signed = Array(SHA256.hash(data: Array((signedApplication ?? application).utf8)))
    signed.append(flags)
    signed.appendSSHUInt32(counter)
    signed += SHA256.hash(data: data)
    var signature = sshStrings(Array(typeName.utf8), try value(signing: signed))
    signature.append(flags)
    signature.appendSSHUInt32(counter)
    return armor(signatureBlob(publicKey: publicBlob, namespace: namespace, signature: signature))
  }

  private func value(signing data: [UInt8]) throws -> [UInt8] {
    switch kind {
    case .ed25519:
      return Array(try ed25519.signature(for: data))
    case .ecdsaP256:
      let pair = try ecdsa.signature(for: data).rawRepresentation
      return sshStrings(multiplePrecisionInteger(pair.prefix(32)), multiplePrecisionInteger(pair.suffix(32)))
    }
  }
}
