import DesiredState
import Foundation
import Testing

@Suite("The manifest: strict about what is used, indifferent to the rest")
struct StateManifestTests {
  private let hex = String(repeating: "ab", count: 32)

  private func parse(_ text: String) throws(VerificationError) -> StateManifest {
    try StateManifest(parsing: Array(text.utf8))
  }

  private func code(_ text: String) -> VerificationError.Code? {
    do {
      _ = try parse(text)
      return nil
    } catch {
      return error.code
    }
  }

  @Test("Versions up to 2^64-1 are read without loss", arguments: [1, 1 << 53, (1 << 53) + 1, UInt64.max] as [UInt64])
  func versions(_ version: UInt64) throws {
    #expect(try parse("{\"manifestVersion\":\(version),\"bundle\":null,\"deployments\":[]}").version == version)
  }

  @Test("Unknown keys are ignored wherever they stand") func unknownKeys() throws {
    let manifest = try parse(
      """
      {"manifestVersion":7,"later":{"deep":[1,{"x":null}]},"deployments":[
        {"deploymentId":"a","digest":"sha256:\(hex)","later":true}],"x-desired-state-extensions":{"device":"d","later":0}}
      """)
    #expect(manifest.documents.map(\.id) == ["a"])
    #expect(manifest.device == "d")
  }

  @Test("What is written is read back the same") func roundTrip() throws {
    let manifest = StateManifest(
      version: .max, bundle: .init(digest: .of([1]), advisorySize: 10, url: "bundles/x.tar.gz"),
      documents: [
        DocumentReference(
          id: "caf\u{e9}/\u{1F600} \"quoted\"", digest: .of([2]), advisorySize: 3, url: "documents/a%20b"),
        DocumentReference(id: "b", digest: .of([3])),
      ], device: "press\t42", issued: Date(timeIntervalSince1970: 1_700_000_000),
      expires: Date(timeIntervalSince1970: 1_800_000_000))
    #expect(try StateManifest(parsing: manifest.encoded()) == manifest)
  }

  @Test(
    "What is no manifest is malformed",
    arguments: [
      "", "null", "[]", "{}", "{\"manifestVersion\":1}", "{\"manifestVersion\":0,\"deployments\":[]}",
      "{\"manifestVersion\":1,\"deployments\":{}}", "{\"manifestVersion\":1,\"deployments\":[{}]}",
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":1,\"digest\":\"sha256:00\"}]}",
      "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"digest\":\"sha256:00\"}]}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x-desired-state-extensions\":{\"expires\":\"tomorrow\"}}",
      "{\"manifestVersion\":1,\"deployments\":[],\"x-desired-state-extensions\":[]}",
      "{\"manifestVersion\":1,\"deployments\":[],\"bundle\":{\"mediaType\":\"application/zip\"}}",
      "{\"manifestVersion\":1,\"deployments\":[]} trailing", String(repeating: "[", count: 100_000),
    ])
  func malformed(_ text: String) { #expect(code(text) == .manifestMalformed) }

  @Test("A digest of another algorithm is told from a broken one") func digests() {
    #expect(
      code("{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"digest\":\"blake3:00\"}]}")
        == .unsupportedDigest)
  }

  @Test("The message says where the fault is") func message() {
    #expect {
      try parse(
        "{\"manifestVersion\":1,\"deployments\":[{\"deploymentId\":\"a\",\"digest\":\"sha256:\(hex)\"},{\"deploymentId\":\"b\"}]}"
      )
    } throws: {
      "\($0)".contains("'digest' is missing") && "\($0)".contains("deployments[1]")
    }
  }
}

@Suite("Digests")
struct DigestTests {
  @Test("The digest of nothing, and of abc, as FIPS 180-4 has them") func known() throws {
    #expect(Digest.of([]).description == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(Digest.of("abc".utf8).hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test("Text and file name lead to the same digest, upper case to none") func forms() throws {
    let digest = Digest.of("abc".utf8)
    #expect(try Digest(parsing: digest.description) == digest)
    #expect(throws: Digest.ParseError.self) { try Digest(parsing: "sha256:" + digest.hexadecimal.uppercased()) }
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
    #expect(throws: Digest.ParseError.self) { try Digest(parsing: text) }
  }
}

@Suite("Addresses of sources")
struct SourceAddressTests {
  @Test(
    "Paths and file URLs lead to the same place",
    arguments: [
      ("/mnt/usb/drop", "/mnt/usb/drop"), ("drop", "drop"), ("./a:b", "./a:b"), ("what?.d", "what?.d"),
      ("file:///mnt/a%20b", "/mnt/a b"), ("file://localhost/mnt", "/mnt"), ("file:/mnt", "/mnt"),
      ("FILE:///mnt", "/mnt"),
    ])
  func paths(_ text: String, _ path: String) throws {
    let address = try SourceAddress(text)
    #expect(address.scheme == "file")
    #expect(try address.filePath() == path)
  }

  @Test(
    "What cannot be a path is refused",
    arguments: ["file://server/share", "file:///a%00b", "file:///a%zz", "file:///a%+1", "file:"])
  func noPaths(_ text: String) {
    #expect(throws: SourceAddressError.self) { try SourceAddress(text).filePath() }
  }

  @Test("Scheme, location and query are told apart") func parts() throws {
    let address = try SourceAddress("git+https://host/repo.git?ref=main&path=sites%2Fa")
    #expect(address.scheme == "git+https")
    #expect(address.location == "//host/repo.git")
    #expect(address.query == ["ref": "main", "path": "sites/a"])
  }

  @Test("A query that names something twice is refused") func twice() {
    #expect(throws: SourceAddressError.self) { try SourceAddress("x+y://h?a=1&a=2") }
  }

  @Test("A scheme nobody serves is named, with those that are, and no secret is shown") func unknown() throws {
    #expect {
      _ = try BackendRegistry().backend(for: "ftp://user:secret@host/", context: BackendContext(device: "d"))
    } throws: {
      "\($0)".contains("ftp:") && !"\($0)".contains("secret")
    }
  }
}
