import DesiredState
import DesiredStateTesting
import FileBackend
import Foundation
import RESTTestSupport
import TestSupport
import Testing

/// The same directory, untouched, followed from the disk and from nginx.
@Suite struct `The same drop from disk and from nginx` {
  /// A change to the drop, and the outcome over both transports.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let expected: Sight
    var floor: TestPublication?
    let prepare: @Sendable (DropSite) throws -> Void

    init(
      _ name: String, _ expected: Sight, floor: TestPublication? = nil,
      _ prepare: @escaping @Sendable (DropSite) throws -> Void
    ) {
      testDescription = name
      self.expected = expected
      self.floor = floor
      self.prepare = prepare
    }
  }

  static let good = TestPublication.version(5)

  static func tampered(_ part: TestPublication.Part) -> @Sendable (DropSite) throws -> Void {
    { site in
      try site.publish(good)
      let file = try #require(good.files.first { $0.part == part })
      try site.replace(site.drop + "/" + file.path, with: TestPublication.corrupted(file.bytes))
    }
  }

  /// A manifest that is signed as it stands.
  static func signed(_ manifest: String) -> @Sendable (DropSite) throws -> Void {
    { site in
      let bytes = Array(manifest.utf8)
      try site.publish(
        TestPublication(version: 1, documents: [:], manifest: bytes, signatures: TestSigner().sign(bytes)))
    }
  }

  static func entry(_ id: String, url: String) -> String {
    "{ \"deploymentId\": \"\(id)\", \"digest\": \"sha256:\(String(repeating: "0", count: 64))\", \"url\": \"\(url)\" }"
  }

  static func manifest(_ entries: String...) -> String {
    "{ \"manifestVersion\": 1, \"bundle\": null, \"deployments\": [\(entries.joined(separator: ", "))] }"
  }

  static let cases: [Case] = [
    Case("a good drop", .all(of: good)) { try $0.publish(good) },
    Case("an empty state", .all(of: TestPublication(version: 9, documents: [:]))) {
      try $0.publish(TestPublication(version: 9, documents: [:]))
    },
    Case("nothing published", .absent) { _ in },
    Case("documents, and no manifest", .absent) { try $0.publish(good, leavingOut: .manifest) },
    Case("no signature", .refused(.signatureMissing)) { try $0.publish(good, leavingOut: .signatures) },
    Case("a document missing", .refused(.documentMissing)) { try $0.publish(good, leavingOut: .document("press")) },
    // The signature is named by the manifest's digest, and this one has no such signature.
    Case("a changed manifest", .refused(.signatureMissing), tampered(.manifest)),
    Case("a changed signature", .refused(.signatureInvalid), tampered(.signatures)),
    Case("a changed document", .refused(.digestMismatch), tampered(.document("press"))),
    Case("a stranger's signature", .refused(.signerUntrusted)) {
      try $0.publish(TestPublication(version: 5, documents: good.documents, signers: [TestSigner("eve@evil.example")]))
    },
    Case("an older version", .refused(.versionRollback), floor: .version(6)) { try $0.publish(good) },
    Case("the same version with other content", .refused(.versionEquivocation), floor: .version(5, press: "other")) {
      try $0.publish(good)
    },
    Case("a version out of reach", .refused(.versionJump), floor: good) { try $0.publish(.version(1 << 63)) },
    Case("another device's", .refused(.wrongDevice)) { try $0.publish(.version(5, device: "saw-7")) },
    Case("one that is over", .refused(.expired)) {
      try $0.publish(.version(5, expires: Date(timeIntervalSince1970: 1_000_000_000)))
    },
    Case("what is no manifest", .refused(.manifestMalformed), signed("[]")),
    Case("an unsafe id", .refused(.unsafeDocumentID), signed(manifest(entry("../x", url: "documents/x")))),
    Case(
      "an id twice", .refused(.duplicateDocument),
      signed(manifest(entry("x", url: "documents/x"), entry("x", url: "documents/y")))),
    Case("a url that leads up", .refused(.documentMissing), signed(manifest(entry("x", url: "../secret")))),
    Case(
      "a url to another host", .refused(.documentMissing), signed(manifest(entry("x", url: "https://evil.example/x")))),
    Case(
      "a url to another host without scheme", .refused(.documentMissing),
      signed(manifest(entry("x", url: "//evil.example/x")))),
    Case("an absolute url", .refused(.documentMissing), signed(manifest(entry("x", url: "/etc/passwd")))),
    Case("a url with a query", .refused(.documentMissing), signed(manifest(entry("x", url: "x?y")))),
    Case("an encoded way up", .refused(.documentMissing), signed(manifest(entry("x", url: "%2E%2E/secret")))),
  ]

  @Test(.timeLimit(.minutes(2)), arguments: cases) func `is one and the same`(_ given: Case) async throws {
    let site = try await DropSite.start()
    // What a way up would lead to.
    try site.replace(site.directory["secret"], with: Array("secret".utf8))
    try given.prepare(site)
    let disk = try await FileBackend(path: site.drop).sight(floor: given.floor)
    let nginx = try await site.backend().sight(floor: given.floor)
    #expect(disk == given.expected)
    #expect(nginx == given.expected)
  }

  @Test(.timeLimit(.minutes(5)), arguments: ["ä%20 b+c", "a:b", "%41", "q?", "#", "~"])
  func `is found under names of any kind`(name: String) async throws {
    let site = try await DropSite.start()
    let bytes = Array("by name".utf8)
    let url =
      "./named/"
      + name.utf8.map {
        $0 < 0x80 && Character(Unicode.Scalar($0)).isLetter
          ? String(Unicode.Scalar($0)) : "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16)
      }.joined()
    let manifest = StateManifest(
      version: 1, documents: [DocumentReference(id: "x", digest: Digest.of(bytes), advisorySize: nil, url: url)]
    ).encoded()
    let publication = TestPublication(
      version: 1, documents: ["x": bytes], manifest: manifest, signatures: TestSigner().sign(manifest))
    try site.publish(publication)
    try site.replace(site.drop + "/named/" + name, with: bytes)
    #expect(try await FileBackend(path: site.drop).sight() == .all(of: publication))
    #expect(try await site.backend().sight() == .all(of: publication))
  }
}
