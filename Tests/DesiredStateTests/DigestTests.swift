import DesiredState
import Testing

@Suite struct DigestTests {
  static let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

  @Test("The digest of abc is that of FIPS 180-4, whole or in pieces") func value() {
    #expect(Digest.of("abc".utf8).hexadecimal == Self.hex)
    var hasher = Digest.Hasher()
    hasher.update(Array("a".utf8))
    hasher.update(Array("bc".utf8))
    #expect(hasher.finalize() == Digest.of("abc".utf8))
  }

  @Test("Text and file name lead back to the digest") func roundTrip() throws {
    let digest = Digest.of("abc".utf8)
    #expect(try Digest(parsing: digest.description) == digest)
    #expect(Digest(fileName: digest.fileName) == digest)
  }

  @Test(
    "What is not sha256 and 64 lower-case digits is no digest",
    arguments: ["", "sha256", "sha256:", "sha256:" + hex.uppercased(), "sha256:" + hex + "0", "SHA256:" + hex])
  func refused(text: String) {
    #expect(throws: VerificationError.self) { try Digest(parsing: text) }
  }

  @Test("Another algorithm is told from malformed text") func algorithm() {
    let error = #expect(throws: VerificationError.self) { try Digest(parsing: "sha512:00") }
    #expect(error?.code == .unsupportedDigest)
    let malformed = #expect(throws: VerificationError.self) { try Digest(parsing: "sha256:00") }
    #expect(malformed?.code == .manifestMalformed)
  }
}

extension DigestTests {
  @Test("The digest of nothing, and of abc, as FIPS 180-4 has them") func known() throws {
    #expect(Digest.of([]).description == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(Digest.of("abc".utf8).hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test("Text and file name lead to the same digest, upper case to none") func forms() throws {
    let digest = Digest.of("abc".utf8)
    #expect(try Digest(parsing: digest.description) == digest)
    #expect(throws: VerificationError.self) { try Digest(parsing: "sha256:" + digest.hexadecimal.uppercased()) }
    #expect(Digest(fileName: "sha256-" + digest.hexadecimal.uppercased()) == nil)
    #expect(Digest(fileName: digest.fileName) == digest)
  }

  @Test("Streaming in pieces gives what one piece gives") func streaming() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
    var hasher = Digest.Hasher()
    for start in stride(from: 0, to: 1000, by: 7) { hasher.update(Array(bytes[start..<min(start + 7, 1000)])) }
    #expect(hasher.finalize() == .of(bytes))
  }

  @Test(
    "What is no digest is not read",
    arguments: [
      "", "sha256", "sha256:", "sha256:zz", "SHA256:" + String(repeating: "0", count: 64),
      "sha256:" + String(repeating: "0", count: 63), "sha256:" + String(repeating: "0", count: 65),
    ])
  func malformed(_ text: String) {
    #expect(throws: VerificationError.self) { try Digest(parsing: text) }
  }
}
