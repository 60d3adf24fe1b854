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
