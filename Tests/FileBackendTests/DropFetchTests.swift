import DesiredState
import DesiredStateSupport
import Foundation
import TestSupport
import Testing

@testable import FileBackend

@Suite("Fetching a drop directory")
struct DropFetchTests {
  let folder = TemporaryDirectory()
  var drop: HandMadeDrop { .small(at: folder["drop"]) }
  var backend: FileBackend { FileBackend(path: folder["drop"]) }

  @Test("A published state is fetched with its signature and every document's exact bytes")
  func changed() async throws {
    let revision = try drop.publish(version: 7, signature: "armored")
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(state.revision == revision)
    #expect(!state.isSynthesised)
    #expect(state.signatures == [Array("armored".utf8)])
    let documents = try await state.allDocuments()
    #expect(documents == Dictionary(uniqueKeysWithValues: drop.documents.map { ($0.id, $0.bytes) }))
  }

  @Test("The current revision is unchanged, and a new publication is changed")
  func unchanged() async throws {
    let first = try drop.publish(version: 1)
    let backend = backend
    #expect(try await backend.fetch(FetchRequest(current: first)).isUnchanged)
    let second = try drop.publish(version: 2)
    #expect(try await backend.fetch(FetchRequest(current: first)).state?.revision == second)
    // A backend made anew carries on from the current revision.
    #expect(try await self.backend.fetch(FetchRequest(current: second)).isUnchanged)
  }

  @Test("An explicitly empty state is changed, with no documents")
  func explicitlyEmpty() async throws {
    try HandMadeDrop(at: folder["drop"]).publish(version: 1)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(try state.verified().manifest.documents.isEmpty)
  }

  @Test(
    "A directory in which nothing is published is absent",
    arguments: [
      [], ["documents"], ["documents", "signatures", "bundles", "acknowledgements", ".Trash-1000"], ["lost+found"],
      ["documents/sha256-\(String(repeating: "ab", count: 32))", "README.txt"],
    ])
  func absent(entries: [String]) async throws {
    try FileManager.default.createDirectory(atPath: folder["drop"], withIntermediateDirectories: true)
    for entry in entries {
      if entry.contains("sha256") || entry.contains("README") {
        try write("a half-copied drop", to: folder["drop/" + entry])
      } else {
        try FileManager.default.createDirectory(atPath: folder["drop/" + entry], withIntermediateDirectories: true)
      }
    }
    #expect(try await backend.fetch(FetchRequest()).isAbsent)
  }

  @Test("A missing directory is unreachable, and the message says what to check")
  func missing() async throws {
    let error = try await thrown(BackendError.self) { _ = try await backend.fetch(FetchRequest()) }
    #expect(error.code == .unreachable)
    #expect(error.isRetryable)
    #expect(error.message.contains("mounted"), "\(error)")
  }

  @Test(
    "What is at manifest.json and is no regular file is refused without waiting",
    arguments: ["fifo", "directory", "socket", "loop", "outside", "device"])
  func noRegularManifest(kind: String) async throws {
    let manifest = folder["drop/manifest.json"]
    try FileManager.default.createDirectory(atPath: folder["drop"], withIntermediateDirectories: true)
    switch kind {
    case "fifo": try #require(mkfifo(manifest, 0o644) == 0)
    case "directory": try FileManager.default.createDirectory(atPath: manifest, withIntermediateDirectories: true)
    case "socket": try await run(["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('\(manifest)')"])
    case "loop": try #require(symlink("manifest.json", manifest) == 0)
    case "device": try #require(mknod(manifest, S_IFCHR | 0o644, makedev(1, 5)) == 0)
    default:
      try write("{}", to: folder["outside.json"])
      try #require(symlink("../outside.json", manifest) == 0)
    }
    let error = try await thrown(VerificationError.self) {
      _ = try await backend.fetch(FetchRequest(timeout: .seconds(5)))
    }
    #expect(error.code == .manifestMalformed)
    #expect(error.reason.contains("manifest.json"), "\(error)")
  }

  private func makedev(_ major: UInt, _ minor: UInt) -> dev_t { dev_t(major << 8 | minor) }

  @Test("Symbolic links that stay in the drop are followed, as in a mounted ConfigMap")
  func linksWithin() async throws {
    var drop = drop
    let data = HandMadeDrop.small(at: folder["drop/..2026_11_22"])
    drop.documents = data.documents
    let revision = try data.publish(version: 3)
    for name in ["manifest.json", "documents", "signatures"] {
      try #require(symlink("..data/\(name)", folder["drop/\(name)"]) == 0)
    }
    try #require(symlink("..2026_11_22", folder["drop/..data"]) == 0)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(state.revision == revision)
    #expect(state.signatures.count == 1)
    #expect(try await state.allDocuments().count == 3)
  }

  @Test("A manifest longer than its limit is refused while it is read")
  func manifestLimit() async throws {
    try FileManager.default.createDirectory(atPath: folder["drop"], withIntermediateDirectories: true)
    try await run(["truncate", "-s", "1G", folder["drop/manifest.json"]])
    let error = try await thrown(VerificationError.self) { _ = try await backend.fetch(FetchRequest()) }
    #expect(error.code == .limitExceeded)
  }

  @Test("Signatures longer than their limit are refused")
  func evidenceLimit() async throws {
    try drop.publish(version: 1, signature: String(repeating: "x", count: 101))
    let error = try await thrown(VerificationError.self) {
      _ = try await backend.fetch(FetchRequest(limits: Limits(evidenceSize: 100)))
    }
    #expect(error.code == .limitExceeded)
  }

  @Test("A manifest without its signature has no signatures, and with it, the next poll has them")
  func tornSignature() async throws {
    try drop.writeDocuments()
    let manifest = drop.manifest(version: 1)
    try drop.writeManifest(manifest)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(state.signatures.isEmpty)
    try drop.publish(version: 1)
    #expect(try await backend.fetch(FetchRequest()).state?.signatures.count == 1)
  }

  @Test("A manifest before its documents is document-missing, which is looked at again")
  func tornDocuments() async throws {
    try FileManager.default.createDirectory(atPath: folder["drop"], withIntermediateDirectories: true)
    try drop.writeManifest(drop.manifest(version: 1))
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    let error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .documentMissing)
    #expect(error.isTransient)
    try drop.writeDocuments()
    #expect(try await state.allDocuments().count == 3)
  }

  @Test("A tampered document is a digest mismatch")
  func tampered() async throws {
    try drop.publish(version: 1)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    let document = drop.references[0]
    let before = await state.documents.fingerprint(of: document)
    try write("omega\n", to: folder["drop/documents/\(document.digest.fileName)"])
    let error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .digestMismatch)
    #expect(await state.documents.fingerprint(of: document) != before)
  }

  @Test(
    "A url that leads anywhere but to a file in the drop is document-missing",
    arguments: [
      "/etc/passwd", "//host/x", "file:///etc/passwd", "https://example.com/x", "../secret", "documents/../../secret",
      "documents/../manifest.json",
      "%2e%2e/secret", "documents/%2E%2E/%2e%2e/secret", "documents%2f..%2f..%2fsecret", "link", "linked/secret", "",
      ".", "a?b", "a#b", "%zz", "%4", "a%00b", "documents", "fifo", "documents//x", "documents/", "absolute",
    ])
  func unsafeURL(url: String) async throws {
    try write("secret", to: folder["secret"])
    try drop.publish(version: 1)
    try #require(symlink("../secret", folder["drop/link"]) == 0)
    try #require(symlink("..", folder["drop/linked"]) == 0)
    try #require(symlink(folder["secret"], folder["drop/absolute"]) == 0)
    try #require(mkfifo(folder["drop/fifo"], 0o644) == 0)
    let reference = DocumentReference(id: "d", digest: Digest.of("secret".utf8), url: url)
    try drop.writeManifest(StateManifest(version: 2, documents: [reference]).encoded())
    let state = try #require(try await backend.fetch(FetchRequest(timeout: .seconds(5))).state)
    let error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .documentMissing, "\(error)")
    #expect(error.reason.contains("'d'"), "\(error)")
  }

  @Test(
    "A relative url is followed below the drop, percent-encoded or not; without one the digest is the name",
    arguments: ["apps/web%20shop.yaml", "./apps/web shop.yaml", nil])
  func relativeURL(url: String?) async throws {
    let digest = Digest.of("shop".utf8)
    try write("shop", to: url == nil ? folder["drop/documents/\(digest.fileName)"] : folder["drop/apps/web shop.yaml"])
    try drop.writeManifest(
      StateManifest(version: 2, documents: [DocumentReference(id: "d", digest: digest, url: url)]).encoded())
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(try await state.allDocuments() == ["d": Array("shop".utf8)])
  }

  @Test("Without openat2 the way to a file is walked, and no symbolic link is followed")
  func walk() throws {
    try write("secret", to: folder["secret"])
    try write("good", to: folder["drop/a/b/c"])
    try #require(symlink("a", folder["drop/link"]) == 0)
    try #require(symlink("../secret", folder["drop/out"]) == 0)
    let directory = try OpenDirectory(folder["drop"])
    #expect(try directory.walk(to: "a/b/c", O_RDONLY).read(upTo: 9) == Array("good".utf8))
    for path in ["link/b/c", "out", "../secret", "a/../../secret", "/etc/passwd"] {
      #expect(throws: FileError.self) { _ = try directory.walk(to: path, O_RDONLY).status() }
    }
  }

  @Test("Large documents arrive in chunks, twice the same")
  func large() async throws {
    var drop = HandMadeDrop(at: folder["drop"])
    var bytes = [UInt8](repeating: 0, count: 3 << 20 | 17)
    for index in stride(from: 0, to: bytes.count, by: 97) { bytes[index] = UInt8(truncatingIfNeeded: index) }
    drop.documents = [("large", bytes), ("chunk", [UInt8](repeating: 7, count: Files.chunkSize))]
    try drop.publish(version: 1)
    let state = try #require(try await backend.fetch(FetchRequest()).state)
    for _ in 0..<2 {
      let documents = try await state.allDocuments()
      #expect(documents["large"] == bytes)
      #expect(documents["chunk"]?.count == Files.chunkSize)
    }
    let chunks = try await state.documents.open(drop.references[0])
    for try await chunk in chunks { #expect(chunk.count <= Files.chunkSize + 1) }
  }
}
