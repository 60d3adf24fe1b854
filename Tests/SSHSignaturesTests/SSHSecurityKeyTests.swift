import Testing

@testable import SSHSignatures

@Suite("SSH signatures by security keys")
struct SSHSecurityKeyTests {
  private let message = Array("desired state".utf8)

  @Test(arguments: SoftwareSecurityKey.Kind.allCases)
  func `A touched security key's signature holds here and for ssh-keygen`(kind: SoftwareSecurityKey.Kind) throws {
    let key = SoftwareSecurityKey(kind)
    let armored = try key.sign(message)
    let signature = try #require(try SSHSignature.parse(armored: armored).first)
    try signature.verify(SSHSignature.Message(message), namespace: "desired-state")
    #expect(signature.publicKey.type.rawValue == key.typeName)
    #expect(
      try SSHKeygen().verifies(
        armored, of: message, allowedSigners: "alice \(key.publicLine)\n", principal: "alice",
        namespace: "desired-state"))
  }

  /// sshd refuses it ("signed without user presence"); `ssh-keygen -Y verify` only logs the flags. This test tells when
  /// that changes.
  @Test(arguments: SoftwareSecurityKey.Kind.allCases)
  func `An untouched security key's signature is refused, although ssh-keygen takes it`(
    kind: SoftwareSecurityKey.Kind
  ) throws {
    let key = SoftwareSecurityKey(kind)
    // 0x04 is "user verified": a PIN, which is not a touch.
    for flags: UInt8 in [0x00, 0x04] {
      let armored = try key.sign(message, flags: flags)
      let signature = try #require(try SSHSignature.parse(armored: armored).first)
      #expect(reason(signature) == .userNotPresent)
      #expect(
        try SSHKeygen().verifies(
          armored, of: message, allowedSigners: "alice \(key.publicLine)\n", principal: "alice",
          namespace: "desired-state"))
    }
  }

  @Test(arguments: SoftwareSecurityKey.Kind.allCases)
  func `A signature that a security key made for another application does not hold`(
    kind: SoftwareSecurityKey.Kind
  ) throws {
    let key = SoftwareSecurityKey(kind, application: "ssh:fleet")
    let armored = try key.sign(message, signedApplication: "https://example.com")
    let signature = try #require(try SSHSignature.parse(armored: armored).first)
    #expect(reason(signature) == .invalid)
  }

  @Test func `A signature made through a web browser is refused by name`() throws {
    let key = SoftwareSecurityKey(.ecdsaP256)
    let type = Array("webauthn-sk-ecdsa-sha2-nistp256@openssh.com".utf8)
    let blob = signatureBlob(publicKey: key.publicBlob, signature: sshStrings(type, [1, 2, 3]))
    let signature = try SSHSignature(blob: blob)
    #expect(reason(signature) == .unsupportedSignatureType)
  }

  private func reason(_ signature: SSHSignature) -> SSHSignatureError.Code? {
    do throws(SSHSignatureError) {
      try signature.verify(SSHSignature.Message(message), namespace: "desired-state")
      return nil
    } catch {
      return error.code
    }
  }
}
