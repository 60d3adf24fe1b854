import DesiredState
import DesiredStateTesting
import Foundation
import Glibc
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

/// Documents are fetched before they are asked for, and nothing else is noticed of it.
@Suite struct `Reading ahead` {
  static func many(_ count: Int, size: Int = 2000, version: UInt64 = 1) -> [String: [UInt8]] {
    Dictionary(
      uniqueKeysWithValues: (0..<count).map { number in
        ("document-\(number)", Array("\(number) ".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: size))
      })
  }

  @Test(.timeLimit(.minutes(2))) func `fetches a thousand documents once each, over one connection`() async throws {
    let site = try await DropSite.start()
    let documents = Self.many(1000)
    try site.publish(TestPublication(version: 1, documents: documents))
    let agent = try await PollingAgent([try site.backend()])
    let began = ContinuousClock.now
    guard case .current = try await agent.reconciler.runOnce() else { throw ChildProcess.Failure(description: "no") }
    measured("a thousand documents: \(ContinuousClock.now - began)")
    func reads() async throws -> [Nginx.Line] { try await site.requests().filter { $0.method == "GET" } }
    let first = try await reads()
    #expect(first.count == 1002)
    #expect(Set(first.map(\.path)).count == 1002)
    #expect(Set(first.map(\.connection)).count == 1)

    // One of them changes: the manifest, its signature and that document.
    var changed = documents
    changed["document-500"] = Array("new".utf8)
    let next = TestPublication(version: 2, documents: changed)
    for file in next.files where [.document("document-500"), .signatures, .manifest].contains(file.part) {
      try site.replace(site.drop + "/" + file.path, with: file.bytes)
    }
    guard case .current = try await agent.reconciler.runOnce() else { throw ChildProcess.Failure(description: "no") }
    #expect(try await reads().count == 1005)
  }

  @Test(.timeLimit(.minutes(2)), arguments: [HTTPVersionPreference.http1, .http2])
  func `gives each its own bytes, whatever their sizes`(version: HTTPVersionPreference) async throws {
    let site = try await DropSite.start()
    var documents = Self.many(300, size: 10)
    for (number, size) in [0, 1, 65_535, 65_536, 65_537, 300_000, 5_000_000].enumerated() {
      documents["sized-\(number)"] = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
    }
    for withSizes in [true, false] {
      let publication = TestPublication(version: 1, documents: documents, withSizes: withSizes)
      try site.publish(publication)
      #expect(try await site.backend { $0.versions = version }.sight() == .all(of: publication))
    }
  }

  /// A manifest of documents that all say that they have one byte.
  static func lying(_ documents: [(id: String, digest: Digest, url: String?)]) -> TestPublication {
    let manifest = StateManifest(
      version: 1,
      documents: documents.map { DocumentReference(id: $0.id, digest: $0.digest, advisorySize: 1, url: $0.url) }
    ).encoded()
    return TestPublication(version: 1, documents: [:], manifest: manifest, signatures: TestSigner().sign(manifest))
  }

  @Test(.timeLimit(.minutes(2))) func `does not believe what is said of sizes`() async throws {
    let site = try await DropSite.start()
    let documents = Self.many(200, size: 100_000)
    let honest = TestPublication(version: 1, documents: documents)
    try site.publish(honest)
    let manifest = try StateManifest(parsing: honest.manifest, requiresVersion: true)
    let lying = Self.lying(manifest.documents.map { ($0.id, $0.digest, $0.url) })
    try site.publish(lying)
    #expect(try await site.backend().sight() == .state(revision: lying.revision, documents: documents))
  }

  @Test(.timeLimit(.minutes(2)), arguments: [[100_000, 10], [10, 100_000]] as [[UInt64]])
  func `takes one document under two names, which do not agree on its size`(sizes: [UInt64]) async throws {
    let site = try await DropSite.start()
    let documents = ["a": Array("the same".utf8), "b": Array("the same".utf8)]
    try site.publish(TestPublication(version: 1, documents: documents))
    let manifest = StateManifest(
      version: 1,
      documents: zip(["a", "b"], sizes).map { id, size in
        let digest = Digest.of(documents[id]!)
        return DocumentReference(id: id, digest: digest, advisorySize: size, url: "documents/\(digest.fileName)")
      }
    ).encoded()
    let publication = TestPublication(
      version: 1, documents: [:], manifest: manifest, signatures: TestSigner().sign(manifest))
    try site.publish(publication)
    #expect(try await site.backend().sight() == .state(revision: publication.revision, documents: documents))
  }

  @Test(.timeLimit(.minutes(2))) func `takes little of what turns out to be long, and nothing when nobody reads on`()
    async throws
  {
    let site = try await DropSite.start()
    // A thousand documents of 64 MB, by their own account of one byte.
    try site.replace(site.directory["drop/long"], with: [])
    truncate(site.drop + "/long", 64 << 20)
    try await site.restart(with: "gzip off;")
    try site.publish(
      Self.lying((0..<1000).map { ("document-\($0)", Digest.of(Array("\($0)".utf8)), "long") }))
    #expect(try await site.backend().sight() == .refused(.digestMismatch))
    let requests = try await site.requests().filter { $0.path == "/drop/long" }
    // The first is read to its end, as its fault was not known; of the others, the part under way.
    #expect(requests.count < 300)
    let bytes = requests.map(\.sent).reduce(0, +)
    // Of 8 GiB. A server sends on for as long as it takes to be told that it need not.
    #expect(bytes < 1 << 30, "\(bytes) bytes for \(requests.count) requests")
    measured("\(requests.count) requests, \(bytes >> 20) MiB")
  }
}
