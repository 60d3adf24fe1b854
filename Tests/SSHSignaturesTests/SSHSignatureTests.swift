import Foundation
import Testing

@testable import SSHSignatures

@Suite("SSH signatures")
struct SSHSignatureTests {
  private let message = Array("desired state".utf8)

  @Test(arguments: SSHKeygen.keyKinds, ["sha256", "sha512"])
  func `A signature made by ssh-keygen holds`(kind: String, hash: String) throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey(kind)
    let signatures = try SSHSignature.parse(armored: try keygen.sign(message, with: key, hash: hash))
    let signature = try #require(signatures.first)
    #expect(signatures.count == 1)
    #expect(signature.publicKey == (try key.publicKey))
    #expect(signature.namespace == "desired-state")
    #expect(signature.hashAlgorithm.rawValue == hash)
    try signature.verify(SSHSignature.Message(message), namespace: "desired-state")
    #expect(signature.isValid(for: message, namespace: "desired-state"))
  }

  @Test(arguments: SSHKeygen.keyKinds)
  func `A signature does not hold for another message`(kind: String) throws {
    let signature = try signature(by: kind)
    #expect(refusal(of: signature, message: message + [0]) == .invalid)
    #expect(refusal(of: signature, message: message.dropLast()) == .invalid)
    #expect(refusal(of: signature, message: []) == .invalid)
    #expect(!signature.isValid(for: message.reversed(), namespace: "desired-state"))
  }

  @Test func `A signature does not hold for another namespace than it was made for`() throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey()
    let armored = try keygen.sign(message, with: key, namespace: "git")
    let signature = try #require(try SSHSignature.parse(armored: armored).first)
    for namespace in ["git", "desired-state", "Git", "git ", "gi", "", "*"] {
      let allowedSigners = "alice \(key.publicLine)"
      let isAccepted = try keygen.verifies(
        armored, of: message, allowedSigners: allowedSigners, principal: "alice", namespace: namespace)
      #expect(isAccepted == (namespace == "git"))
      #expect(refusal(of: signature, namespace: namespace) == (isAccepted ? nil : .namespaceMismatch))
    }
  }

  /// The namespace is part of the signed bytes: writing another one into the signature does not help.
  @Test func `A signature with its namespace rewritten does not hold`() throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey()
    let original = try dearmor(keygen.sign(message, with: key, namespace: "git"))
    // Behind the preamble and the version: key, namespace, reserved, hash, signature.
    let fields = try readSSHStrings(original.dropFirst(10))
    let forged = signatureBlob(publicKey: fields[0], signature: fields[4])
    #expect(refusal(of: try SSHSignature(blob: forged)) == .invalid)
  }

  @Test func `Namespaces that only look alike are different`() throws {
    let keygen = try SSHKeygen()
    let armored = try keygen.sign(message, with: try keygen.makeKey(), namespace: "caf\u{e9}")
    let signature = try #require(try SSHSignature.parse(armored: armored).first)
    #expect(refusal(of: signature, namespace: "caf\u{e9}") == nil)
    #expect(refusal(of: signature, namespace: "cafe\u{301}") == .namespaceMismatch)
  }

  @Test func `A signature by RSA with SHA-1 is refused by name`() throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey("rsa-2048")
    let value = sshStrings(Array("ssh-rsa".utf8), [UInt8](repeating: 1, count: 256))
    let blob = signatureBlob(publicKey: try key.publicKey.blob, signature: value)
    #expect(refusal(of: try SSHSignature(blob: blob)) == .unsupportedSignatureType)
    #expect(
      try !keygen.verifies(
        armor(blob), of: message, allowedSigners: "alice \(key.publicLine)", principal: "alice",
        namespace: "desired-state"))
  }

  @Test(arguments: SSHKeygen.keyKinds)
  func `A signature of a type that its key does not make is refused`(kind: String) throws {
    let key = try SSHKeygen().makeKey(kind).publicKey
    let types = SSHPublicKey.KeyType.supported.map(\.rawValue) + ["rsa-sha2-256", "rsa-sha2-512", "none", ""]
    let own = key.type == .rsa ? ["rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"] : [key.type.rawValue]
    for type in types where !own.contains(type) {
      let blob = signatureBlob(publicKey: key.blob, signature: sshStrings(Array(type.utf8), [1]))
      #expect(refusal(of: try SSHSignature(blob: blob)) == .signatureTypeMismatch, "\(type)")
    }
  }

  /// The same signature in another spelling would be another file with the same meaning.
  @Test func `An ECDSA signature has one form`() throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey("ecdsa-256")
    let original = try SSHSignature(blob: dearmor(keygen.sign(message, with: key)))
    let fields = try readSSHStrings(original.signature)
    let pair = try readSSHStrings(fields[1])
    func refusal(ofPair value: [UInt8]) throws -> SSHSignatureError.Code? {
      let blob = signatureBlob(publicKey: original.publicKey.blob, signature: sshStrings(fields[0], value))
      return self.refusal(of: try SSHSignature(blob: blob))
    }
    let (rInteger, sInteger) = (pair[0], pair[1])
    #expect(try refusal(ofPair: sshStrings(rInteger, sInteger)) == nil)
    let others: [[UInt8]] = [
      sshStrings([0] + rInteger, sInteger), sshStrings(rInteger, [0] + sInteger), sshStrings([], sInteger),
      sshStrings(rInteger, []), sshStrings([0], sInteger), sshStrings(rInteger, [0]), sshStrings([0xff], sInteger),
      sshStrings([0x01] + [UInt8](repeating: 0, count: 32), sInteger),
      sshStrings(rInteger, [UInt8](repeating: 0x7f, count: 4096)),
      sshStrings(rInteger, sInteger) + [0], sshStrings(rInteger, sInteger, []), sshStrings(rInteger), [],
    ]
    for other in others {
      #expect(try refusal(ofPair: other) == .malformed, "\(other)")
    }
    #expect(try refusal(ofPair: sshStrings(sInteger, rInteger)) == .invalid)
  }

  @Test func `The number r or s of an ECDSA signature may be short`() throws {
    let keygen = try SSHKeygen()
    let key = try keygen.makeKey("ecdsa-521")
    // An order of 521 bits: every other number is a byte shorter than the longest, so both lengths are seen.
    var sizes: Set<Int> = []
    for number in 0..<20 as Range<UInt8> {
      let message = message + [number]
      let signature = try #require(try SSHSignature.parse(armored: try keygen.sign(message, with: key)).first)
      sizes.insert(signature.signature.count)
      #expect(refusal(of: signature, message: message) == nil)
    }
    #expect(sizes.count > 1)
  }

  @Test func `An Ed25519 signature of any length but 64 bytes does not hold`() throws {
    let signature = try signature(by: "ed25519")
    let fields = try readSSHStrings(signature.signature)
    let (type, value) = (fields[0], fields[1])
    for value in [[], value.dropLast(), value + [0], [0] + value] {
      let blob = signatureBlob(publicKey: signature.publicKey.blob, signature: sshStrings(type, Array(value)))
      #expect(refusal(of: try SSHSignature(blob: blob)) == .invalid)
    }
  }

  @Test func `An RSA signature longer than its modulus does not hold`() throws {
    let signature = try signature(by: "rsa-2048")
    let fields = try readSSHStrings(signature.signature)
    let (type, value) = (fields[0], fields[1])
    for value in [[0] + value, value + [0], [], Array(value.dropLast())] {
      let blob = signatureBlob(publicKey: signature.publicKey.blob, signature: sshStrings(type, value))
      #expect(refusal(of: try SSHSignature(blob: blob)) == .invalid)
    }
    let otherType = sshStrings(Array("rsa-sha2-256".utf8), value)
    let other = signatureBlob(publicKey: signature.publicKey.blob, signature: otherType)
    #expect(refusal(of: try SSHSignature(blob: other)) == .invalid)
  }

  @Test func `Several signatures of one message are checked against one hash of it`() throws {
    let keygen = try SSHKeygen()
    var armored: [UInt8] = []
    for (kind, hash) in [("ed25519", "sha512"), ("ecdsa-384", "sha256"), ("rsa-2048", "sha512")] {
      armored += try keygen.sign(message, with: try keygen.makeKey(kind), hash: hash)
    }
    let shared = SSHSignature.Message(message)
    let signatures = try SSHSignature.parse(armored: armored)
    #expect(signatures.count == 3)
    for signature in signatures {
      try signature.verify(shared, namespace: "desired-state")
    }
  }

  private func signature(by kind: String) throws -> SSHSignature {
    let keygen = try SSHKeygen()
    return try SSHSignature(blob: dearmor(keygen.sign(message, with: try keygen.makeKey(kind))))
  }

  private func refusal(
    of signature: SSHSignature, message: [UInt8]? = nil, namespace: String = "desired-state"
  ) -> SSHSignatureError.Code? {
    do throws(SSHSignatureError) {
      try signature.verify(SSHSignature.Message(message ?? self.message), namespace: namespace)
      return nil
    } catch {
      return error.code
    }
  }
}
