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

  @Test("Text, file name and hexadecimal lead back to the digest") func roundTrip() throws {
    let digest = Digest.of("abc".utf8)
    #expect(try Digest(parsing: digest.description) == digest)
    #expect(Digest(fileName: digest.fileName) == digest)
    #expect(Digest(hexadecimal: digest.hexadecimal) == digest)
  }

  @Test(
    "What is not sha256 and 64 lower-case digits is no digest",
    arguments: ["", "sha256", "sha256:", "sha256:" + hex.uppercased(), "sha256:" + hex + "0", "SHA256:" + hex])
  func refused(text: String) {
    #expect(throws: Digest.ParseError.self) { try Digest(parsing: text) }
  }

  @Test("Another algorithm is told from malformed text") func algorithm() {
    #expect(throws: Digest.ParseError.unsupportedAlgorithm("sha512")) { try Digest(parsing: "sha512:00") }
  }
}
