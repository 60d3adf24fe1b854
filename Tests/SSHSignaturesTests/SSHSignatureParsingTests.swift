import Foundation
import Testing

@testable import SSHSignatures

@Suite("Reading SSH signature files")
struct SSHSignatureParsingTests {
  private let message = Array("desired state".utf8)
  private let keygen: SSHKeygen
  private let key: SSHKeygen.KeyPair
  private let armored: [UInt8]
  private let publicBlob: [UInt8]

  init() throws {
    keygen = try SSHKeygen()
    key = try keygen.makeKey()
    armored = try keygen.sign(message, with: key)
    publicBlob = try key.publicKey.blob
  }

  @Test func `Several signatures in one file are read in their order`() throws {
    let keys = try ["ed25519", "ecdsa-256", "rsa-2048"].map { try keygen.makeKey($0) }
    let blocks = try keys.map { try keygen.sign(message, with: $0) }
    let signatures = try SSHSignature.parse(armored: Array(blocks.joined()))
    #expect(try signatures.map(\.publicKey) == keys.map { try $0.publicKey })
    #expect(signatures.allSatisfy { $0.isValid(for: message, namespace: "desired-state") })
  }

  @Test func `Line ends, a missing last one, and text between and behind signatures do not matter`() throws {
    let text = String(decoding: armored, as: UTF8.self)
    let files = [
      (text.replacing("\n", with: "\r\n"), 1), (String(text.dropLast()), 1), (text + "\n\n", 1),
      (text + "\nsigned by Alice\n" + text + "# end", 2), (text + "-----BEGIN PGP SIGNATURE-----\n" + text, 2),
      (text + "\u{0}\u{ff}\n" + text, 2),
    ]
    for (file, count) in files {
      let signatures = try SSHSignature.parse(armored: Array(file.utf8))
      #expect(signatures.count == count)
      #expect(signatures.allSatisfy { $0.isValid(for: message, namespace: "desired-state") })
    }
  }

  @Test func `A file that does not begin with a signature has none`() {
    let text = String(decoding: armored, as: UTF8.self)
    for file in ["", "\n", "text\n", "\n" + text, "-----BEGIN SSH SIGNATURE----\n", " " + text] {
      #expect(refusal(of: Array(file.utf8)) == .missing)
    }
    #expect(refusal(of: [0xef, 0xbb, 0xbf] + armored) == .missing)
  }

  @Test func `A file cut short anywhere before the end of its last line is refused`() {
    for count in 0..<(armored.count - 1) {
      #expect(refusal(of: Array(armored.prefix(count))) != nil)
    }
    #expect(refusal(of: Array(armored.dropLast())) == nil)
  }

  @Test func `Signatures joined without a line break are refused with what to do`() throws {
    #expect(refusal(of: armored.dropLast() + armored) == .malformed)
    #expect(refusal(of: armored.dropLast() + Array("x".utf8)) == .malformed)
  }

  @Test func `Base64 has one spelling`() throws {
    let text = Data(try dearmor(armored)).base64EncodedString()
    #expect(refusal(of: block(text)) == nil)
    let others = [
      "", "=", String(text.dropLast()), text + "=", text + "A", text + "\n ", "*" + text.dropFirst(), text + "\u{0}",
      "AAAA" + text, text + "AAAA", String(text.dropFirst(4)),
    ]
    for other in others {
      #expect(refusal(of: block(other)) == .malformed, "\(other)")
    }
  }

  @Test func `Stray bits behind the last byte of base64 are refused`() {
    #expect(decodeCanonicalBase64("QQ==".utf8) == [0x41])
    #expect(decodeCanonicalBase64("QR==".utf8) == nil)
    #expect(decodeCanonicalBase64("QUI=".utf8) == [0x41, 0x42])
    #expect(decodeCanonicalBase64("QUJ=".utf8) == nil)
    #expect(decodeCanonicalBase64("QQ".utf8) == nil)
    #expect(decodeCanonicalBase64("".utf8) == [])
  }

  @Test func `Every field is checked`() throws {
    let value = sshStrings(Array("ssh-ed25519".utf8), [UInt8](repeating: 1, count: 64))
    func refusal(_ blob: [UInt8]) -> SSHSignatureError.Code? { self.refusal(of: armor(blob)) }
    #expect(refusal(signatureBlob(publicKey: publicBlob, signature: value)) == nil)
    #expect(refusal(signatureBlob(publicKey: publicBlob, reserved: [1, 2, 3], signature: value)) == nil)
    #expect(refusal(signatureBlob(version: 0, publicKey: publicBlob, signature: value)) == .unsupportedVersion)
    #expect(refusal(signatureBlob(version: 2, publicKey: publicBlob, signature: value)) == .unsupportedVersion)
    #expect(refusal(signatureBlob(publicKey: publicBlob, namespace: "", signature: value)) == .malformed)
    #expect(refusal(signatureBlob(publicKey: publicBlob, namespace: "git\u{0}", signature: value)) == .malformed)
    for hash in ["sha1", "md5", "SHA512", "sha384", "", "sha512,sha256"] {
      #expect(refusal(signatureBlob(publicKey: publicBlob, hash: hash, signature: value)) == .unsupportedHash)
    }
    #expect(refusal(signatureBlob(publicKey: publicBlob, signature: value) + [0]) == .malformed)
    #expect(refusal(signatureBlob(publicKey: publicBlob + [0], signature: value)) == .malformed)
    #expect(refusal(signatureBlob(publicKey: [], signature: value)) == .malformed)
    let behindPreamble = signatureBlob(publicKey: publicBlob, signature: value).dropFirst(6)
    #expect(refusal(Array("SSHSIX".utf8) + behindPreamble) == .malformed)
    let weak = try keygen.makeKey("rsa-1024")
    let weakSignature = try keygen.sign(message, with: weak)
    #expect(self.refusal(of: weakSignature) == .unsupportedKey)
    let certificate = sshStrings(Array("ssh-ed25519-cert-v01@openssh.com".utf8), [1])
    #expect(refusal(signatureBlob(publicKey: certificate, signature: value)) == .malformed)
  }

  /// OpenSSH ignores the reserved field and signs an empty one.
  @Test func `A signature with something in its reserved field holds as it does for ssh-keygen`() throws {
    let original = try SSHSignature(blob: dearmor(armored))
    let blob = signatureBlob(publicKey: publicBlob, reserved: [1, 2, 3], signature: Array(original.signature))
    #expect(try SSHSignature(blob: blob).isValid(for: message, namespace: "desired-state"))
    #expect(
      try keygen.verifies(
        armor(blob), of: message, allowedSigners: "alice \(key.publicLine)", principal: "alice",
        namespace: "desired-state"))
  }

  @Test func `One signature of an unknown kind does not hide the others from who asks for each`() throws {
    let unknown = armor(signatureBlob(publicKey: sshStrings(Array("ssh-new@example.com".utf8), [1]), signature: [1]))
    let results = try SSHSignature.parseEach(armored: armored + unknown + armored)
    #expect(results.count == 3)
    #expect(try results[0].get().publicKey == results[2].get().publicKey)
    do throws(SSHSignatureError) {
      _ = try results[1].get()
      Issue.record("A key of an unknown type was accepted")
    } catch {
      #expect(error.code == .unsupportedKey)
      #expect(error.underlyingError?.code == .unsupportedType)
      #expect(error.message.hasPrefix("block 2 of 3: "))
    }
    #expect(refusal(of: armored + unknown) == .unsupportedKey)
  }

  @Test func `More signatures, longer ones and longer files than the limits are refused`() throws {
    let many = Array(repeatElement(armored, count: SSHSignature.maximumBlockCount).joined())
    #expect(try SSHSignature.parse(armored: many).count == SSHSignature.maximumBlockCount)
    #expect(refusal(of: many + armored) == .limitExceeded)
    let line = String(repeating: "A", count: 76) + "\n"
    let long = String(repeating: line, count: SSHSignature.maximumBlockSize / 76 + 1)
    #expect(refusal(of: block(long)) == .limitExceeded)
    #expect(refusal(of: armored + Array(repeating: 0x0a, count: SSHSignature.maximumFileSize)) == .limitExceeded)
  }

  @Test func `What is shown of a hostile signature cannot drive a terminal`() throws {
    let hostile = "\u{1b}[2J\u{202e}\n" + String(repeating: "x", count: 10_000)
    let value = sshStrings(Array("ssh-ed25519".utf8), [1])
    let signature = try SSHSignature(blob: signatureBlob(publicKey: publicBlob, namespace: hostile, signature: value))
    do throws(SSHSignatureError) {
      try signature.verify(SSHSignature.Message(message), namespace: "desired-state")
      Issue.record("A signature for another namespace was accepted")
    } catch {
      #expect(error.message.unicodeScalars.allSatisfy { $0 == "…" || (0x20..<0x7f).contains($0.value) })
      #expect(error.message.count < 500)
    }
  }

  private func block(_ text: String) -> [UInt8] {
    Array("-----BEGIN SSH SIGNATURE-----\n\(text)\n-----END SSH SIGNATURE-----\n".utf8)
  }

  private func refusal(of file: some Collection<UInt8>) -> SSHSignatureError.Code? {
    do throws(SSHSignatureError) {
      _ = try SSHSignature.parse(armored: file)
      return nil
    } catch {
      return error.code
    }
  }
}
