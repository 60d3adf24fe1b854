import Crypto
import Foundation
import Testing

@testable import SSHSignatures

@Suite("SSH public keys")
struct SSHPublicKeyTests {
  @Test(arguments: SSHKeygen.keyKinds)
  func `A key has the type and the fingerprint that ssh-keygen prints`(kind: String) throws {
    let keygen = try SSHKeygen()
    let pair = try keygen.makeKey(kind)
    let key = try pair.publicKey
    let printed = try keygen.run(["-l", "-f", pair.file.path]).output.split(separator: " ")
    #expect(key.fingerprint == printed[1])
    #expect(pair.publicLine.hasPrefix(key.openSSHRepresentation + " a comment"))
    #expect(try SSHPublicKey(blob: key.blob) == key)
    #expect(key.description == "\(key.type.rawValue) \(printed[1])")
  }

  @Test(arguments: SoftwareSecurityKey.Kind.allCases)
  func `A security key has the fingerprint that ssh-keygen prints`(kind: SoftwareSecurityKey.Kind) throws {
    let keygen = try SSHKeygen()
    let key = SoftwareSecurityKey(kind, application: "ssh:fleet")
    let file = try keygen.file(containing: Array(key.publicLine.utf8))
    let printed = try keygen.run(["-l", "-f", file.path]).output.split(separator: " ")
    #expect(try SSHPublicKey(parsing: key.publicLine).fingerprint == printed[1])
  }

  @Test(arguments: SSHKeygen.keyKinds)
  func `A key cut short, or with a byte behind it, is refused`(kind: String) throws {
    let blob = try SSHKeygen().makeKey(kind).publicKey.blob
    for count in 0..<blob.count {
      #expect(throws: SSHPublicKeyError.self) { try SSHPublicKey(blob: blob.prefix(count)) }
    }
    #expect(refusal(try SSHPublicKey(blob: blob + [0])) == .malformed)
  }

  @Test func `An RSA key of 1024 bits is refused and the message says what to use`() throws {
    let pair = try SSHKeygen().makeKey("rsa-1024")
    do throws(SSHPublicKeyError) {
      _ = try SSHPublicKey(parsing: pair.publicLine)
      Issue.record("An RSA key of 1024 bits was accepted")
    } catch {
      #expect(error.code == .unsupportedSize)
      #expect(error.message.contains("1024 bits"))
      #expect(error.message.contains("2048 to 8192"))
    }
  }

  @Test func `RSA keys are accepted from 2048 to 8192 bits, to the bit`() {
    for (bits, isAccepted) in [(2047, false), (2048, true), (2049, true), (8192, true), (8193, false), (16384, false)] {
      var modulus = [UInt8](repeating: 0xff, count: (bits + 7) / 8)
      modulus[0] = UInt8((1 << ((bits - 1) % 8 + 1)) - 1)
      let blob = rsaBlob(exponent: [1, 0, 1], modulus: multiplePrecisionInteger(modulus))
      #expect(refusal(try SSHPublicKey(blob: blob)) == (isAccepted ? nil : .unsupportedSize))
    }
  }

  /// A second spelling would make one key count as two toward a threshold.
  @Test func `An RSA key with a number in another form than the shortest is refused`() {
    let modulus = [0] + [UInt8](repeating: 0xff, count: 256)
    #expect(refusal(try SSHPublicKey(blob: rsaBlob(exponent: [3], modulus: modulus))) == nil)
    let others: [(exponent: [UInt8], modulus: [UInt8])] = [
      ([0, 3], modulus), ([3], [0] + modulus), ([3], Array(modulus.dropFirst())), ([], modulus), ([3], []),
      ([0], modulus), ([1], modulus), ([2], modulus), ([3], modulus.dropLast() + [0xfe]), ([0x80], modulus),
      ([UInt8](repeating: 0x7f, count: 6), modulus),
    ]
    for other in others {
      let blob = rsaBlob(exponent: other.exponent, modulus: other.modulus)
      #expect(refusal(try SSHPublicKey(blob: blob)) == .malformed, "\(other)")
    }
  }

  @Test func `An ECDSA key must be an uncompressed point on the curve that its type names`() {
    let key = P256.Signing.PrivateKey().publicKey
    func blob(type: String = "ecdsa-sha2-nistp256", curve: String = "nistp256", point: Data) -> [UInt8] {
      sshStrings(Array(type.utf8), Array(curve.utf8), Array(point))
    }
    func result(_ blob: [UInt8]) -> SSHPublicKeyError.Code? {
      refusal(try SSHPublicKey(blob: blob))
    }
    #expect(result(blob(point: key.x963Representation)) == nil)
    #expect(result(blob(curve: "nistp384", point: key.x963Representation)) == .malformed)
    #expect(result(blob(type: "ecdsa-sha2-nistp384", point: key.x963Representation)) == .malformed)
    #expect(result(blob(type: "ecdsa-sha2-nistp384", curve: "nistp384", point: key.x963Representation)) == .malformed)
    #expect(result(blob(point: key.compressedRepresentation)) == .malformed)
    #expect(result(blob(point: Data([0]))) == .malformed)
    var beside = key.x963Representation
    beside[beside.endIndex - 1] ^= 1
    #expect(result(blob(point: beside)) == .malformed)
  }

  @Test func `DSA keys, certificates and unknown types are refused, each by name`() throws {
    func failure(_ type: String) -> SSHPublicKeyError? {
      do throws(SSHPublicKeyError) {
        _ = try SSHPublicKey(blob: sshStrings(Array(type.utf8), [1, 2, 3]))
        return nil
      } catch {
        #expect(refusal(try SSHPublicKey(parsing: "\(type) AAAA")) == error.code)
        return error
      }
    }
    #expect(failure("ssh-dss")?.code == .unsupportedType)
    #expect(failure("ssh-dss")?.message.contains("DSA") == true)
    #expect(failure("ssh-ed25519-cert-v01@openssh.com")?.code == .certificate)
    #expect(failure("ssh-ed25519-cert-v01@openssh.com")?.message.contains("certificate") == true)
    #expect(failure("ssh-new@example.com")?.code == .unsupportedType)
    // Names of signatures, which OpenSSH also takes for the same RSA key.
    #expect(failure("rsa-sha2-512")?.code == .unsupportedType)
    #expect(refusal(try SSHPublicKey(blob: sshStrings(Array("ssh-ed25519\u{0}".utf8), [1, 2, 3]))) == .malformed)
  }

  @Test func `A real certificate is refused`() throws {
    let keygen = try SSHKeygen()
    let (authority, key) = (try keygen.makeKey(), try keygen.makeKey())
    let outcome = try keygen.run(["-q", "-s", authority.file.path, "-I", "id", "-n", "alice", key.file.path + ".pub"])
    try #require(outcome.status == 0)
    let line = try String(contentsOf: URL(filePath: key.file.path + "-cert.pub"), encoding: .utf8)
    #expect(refusal(try SSHPublicKey(parsing: line)) == .certificate)
  }

  @Test func `Text that is not one key is refused`() throws {
    let keygen = try SSHKeygen()
    let (key, other) = (try keygen.makeKey().publicLine, try keygen.makeKey("ecdsa-256").publicLine)
    let fields = key.split(separator: " ")
    let texts = [
      "", "\n", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 !!!!", "\(fields[1])", key + other,
      "ecdsa-sha2-nistp256 \(fields[1])", "ssh-ed25519 \(fields[1])=", "SSH-ED25519 \(fields[1])",
      "ssh-ed25519\n\(fields[1])",
    ]
    for text in texts {
      #expect(throws: SSHPublicKeyError.self, "\(text)") { try SSHPublicKey(parsing: text) }
    }
    #expect(try SSHPublicKey(parsing: "ssh-ed25519\t \(fields[1])\r\n") == SSHPublicKey(parsing: key))
  }

  private func rsaBlob(exponent: [UInt8], modulus: [UInt8]) -> [UInt8] {
    sshStrings(Array("ssh-rsa".utf8), exponent, modulus)
  }

  private func refusal(_ makeKey: @autoclosure () throws -> SSHPublicKey) -> SSHPublicKeyError.Code? {
    do {
      _ = try makeKey()
      return nil
    } catch {
      return (error as? SSHPublicKeyError)?.code
    }
  }
}
