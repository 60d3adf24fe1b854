import DesiredState
import DesiredStateSupport
import FileBackend
import Foundation
import TestSupport
import Testing

@testable import DropPublisher

struct SignerFailed: Error {}

@Suite("Publishing a drop")
struct DropWriterTests {
  let folder = TemporaryDirectory()
  var source: String { folder["source"] }
  var target: String { folder["drop"] }
  var writer: DropWriter { DropWriter(path: target) }

  init() throws {
    try write("alpha\n", to: source + "/a.yaml")
    try write("beta\n", to: source + "/b/c.yaml")
    try write("", to: source + "/empty")
    try write("not a document", to: source + "/.hidden")
  }

  @discardableResult
  func publish(
    _ options: PublicationOptions = PublicationOptions(), to path: String? = nil, signer: (any ManifestSigner)? = nil
  ) async throws -> Publication {
    let writer = DropWriter(path: path ?? target)
    return try await writer.publish(writer.documents(in: source), options: options, signer: signer)
  }

  func fetched(_ path: String? = nil) async throws -> FetchedState {
    try #require(try await FileBackend(path: path ?? target).fetch(FetchRequest()).state)
  }

  @Test("A manifest never has the time of the one before, whatever that was", arguments: [1, nil, 5_000_000_000])
  func times(time: Int?) async throws {
    let manifest = target + "/manifest.json"
    func seconds() throws -> Int { try #require(FileStatus(at: manifest)).modified.tv_sec }
    try await publish()
    for number in 2...4 {
      if let time {
        // As trees have it that are built reproducibly, or copied from a machine whose clock is ahead.
        let date = Date(timeIntervalSince1970: Double(time))
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: manifest)
      }
      let before = try seconds()
      try write("\(number)\n", to: source + "/a.yaml")
      try await publish()
      #expect(try seconds() != before)
    }
  }

  @Test(
    "What is published is what is fetched, signed and with all documents",
    arguments: ["drop", "drop.tar.gz", "drop.tgz"])
  func roundTrip(name: String) async throws {
    let path = folder[name]
    let options = PublicationOptions(device: "press-42", expires: Date(timeIntervalSinceNow: 3600))
    let publication = try await publish(options, to: path, signer: TextSigner())
    #expect(publication.isSigned)
    let state = try await fetched(path)
    #expect(state.revision == publication.revision)
    #expect(state.signatures == [Array("signature of \(publication.revision.digest)\n".utf8)])
    let manifest = try StateManifest(parsing: state.manifest)
    #expect(manifest.version == 1)
    #expect(manifest.device == "press-42")
    #expect(manifest.issued != nil && manifest.expires != nil && manifest.bundle == nil)
    #expect(manifest.documents.map(\.id) == ["a.yaml", "b/c.yaml", "empty"])
    #expect(manifest.documents.map(\.advisorySize) == [6, 5, 0])
    #expect(manifest.documents.allSatisfy { $0.url == "documents/" + $0.digest.fileName })
    #expect(
      try await state.allDocuments() == [
        "a.yaml": Array("alpha\n".utf8), "b/c.yaml": Array("beta\n".utf8), "empty": [],
      ])
    #expect(try await FileBackend(path: path).fetch(FetchRequest(current: publication.revision)).isUnchanged)
    #expect(names(in: folder.path).filter { $0.hasPrefix(".") } == [])
  }

  @Test("Versions follow one another, a version that is not above is refused", arguments: ["drop", "drop.tar.gz"])
  func versions(name: String) async throws {
    let path = folder[name]
    #expect(try await publish(to: path).manifest.version == 1)
    #expect(try await publish(to: path).manifest.version == 2)
    #expect(try await publish(PublicationOptions(version: 40), to: path).manifest.version == 40)
    for version in [1, 39, 40] as [UInt64] {
      let error = try await thrown(PublicationError.self) {
        try await publish(PublicationOptions(version: version), to: path)
      }
      #expect(error.description.contains("40"), "\(error)")
    }
    #expect(try await publish(PublicationOptions(version: .max), to: path).manifest.version == .max)
    for version in [nil, .max, 0] as [UInt64?] {
      _ = try await thrown(PublicationError.self) { try await publish(PublicationOptions(version: version), to: path) }
    }
    #expect(try StateManifest(parsing: try await fetched(path).manifest).version == .max)
  }

  @Test("A manifest that cannot be read needs an explicit version", arguments: ["drop", "drop.tar.gz"])
  func corruptManifest(name: String) async throws {
    try write("{ half a manif", to: name == "drop" ? folder["drop/manifest.json"] : folder[name])
    let error = try await thrown(PublicationError.self) { try await publish(to: folder[name]) }
    #expect(error.code == .unreadable, "\(error)")
    #expect(try await publish(PublicationOptions(version: 9), to: folder[name]).manifest.version == 9)
  }

  @Test(
    "An empty directory publishes an explicitly empty state; a missing one is an error",
    arguments: ["drop", "drop.tar.gz"])
  func empty(name: String) async throws {
    try FileManager.default.removeItem(atPath: source)
    await #expect(throws: FileError.self) { try await publish(to: folder[name]) }
    #expect(!FileManager.default.fileExists(atPath: folder[name]))
    try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
    let publication = try await publish(PublicationOptions(bundle: name == "drop"), to: folder[name])
    #expect(publication.manifest.documents.isEmpty)
    #expect(publication.manifest.bundle == nil)
    #expect(try await fetched(folder[name]).verified().manifest.documents.isEmpty)
  }

  @Test("What is no regular file is not published", arguments: ["link", "fifo", "dangling", "socket"])
  func special(kind: String) async throws {
    let path = source + "/special"
    switch kind {
    case "link": try #require(symlink("a.yaml", path) == 0)
    case "dangling": try #require(symlink("nowhere", path) == 0)
    case "fifo": try #require(mkfifo(path, 0o644) == 0)
    default: try await run(["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('\(path)')"])
    }
    let error = try await thrown(VerificationError.self) { try await publish() }
    #expect(error.reason.contains("special"), "\(error)")
    // Also when it is named directly.
    await #expect(throws: PublicationError.self) { try await writer.publish([DocumentFile(id: "x", path: path)]) }
    #expect(!FileManager.default.fileExists(atPath: target + "/manifest.json"))
  }

  @Test("Ids and sizes that devices would refuse are refused")
  func limits() async throws {
    let file = source + "/a.yaml"
    for ids in [["../x"], ["a", "a"], ["a", "a/b"], [""]] {
      await #expect(throws: VerificationError.self) {
        try await writer.publish(ids.map { DocumentFile(id: $0, path: file) })
      }
    }
    for limits in [
      Limits(documentCount: 2), Limits(documentSize: 5), Limits(totalSize: 10), Limits(manifestSize: 100),
      Limits(evidenceSize: 10),
    ] {
      for name in ["drop", "drop.tar.gz"] {
        let writer = DropWriter(path: folder[name], limits: limits)
        let error = try await thrown(VerificationError.self) {
          let documents = try await writer.documents(in: source)
          _ = try await writer.publish(documents, signer: TextSigner())
        }
        #expect(error.code == .limitExceeded)
      }
    }
    #expect(!FileManager.default.fileExists(atPath: target + "/manifest.json"))
    await #expect(throws: PublicationError.self) {
      try await publish(PublicationOptions(expires: Date(timeIntervalSinceNow: -5)))
    }
  }

  @Test("Nothing is published, and what was published stands, if the signer fails", arguments: ["drop", "drop.tar.gz"])
  func signerFails(name: String) async throws {
    let path = folder[name]
    let first = try await publish(to: path, signer: TextSigner())
    try write("new\n", to: source + "/a.yaml")
    await #expect(throws: SignerFailed.self) {
      try await publish(PublicationOptions(prune: true), to: path, signer: TextSigner { _ in throw SignerFailed() })
    }
    let state = try await fetched(path)
    #expect(state.revision == first.revision)
    #expect(try await state.allDocuments()["a.yaml"] == Array("alpha\n".utf8))
    // The lock is free again, and the next publisher goes on.
    #expect(try await publish(to: path, signer: TextSigner()).manifest.version == 2)
  }

  @Test(
    "While the manifest is being signed, readers see the old state and its documents are there",
    arguments: ["drop", "drop.tar.gz"])
  func order(name: String) async throws {
    let path = folder[name]
    let first = try await publish(to: path, signer: TextSigner())
    try write("new\n", to: source + "/a.yaml")
    let isDrop = name == "drop"
    let second = try await publish(
      to: path,
      signer: TextSigner { manifest in
        let backend = FileBackend(path: path)
        #expect(try await backend.fetch(FetchRequest(current: first.revision)).isUnchanged)
        if isDrop {
          for document in try StateManifest(parsing: manifest).documents {
            #expect(FileManager.default.fileExists(atPath: path + "/" + document.url!))
          }
        }
      })
    #expect(try await fetched(path).revision == second.revision)
  }

  @Test("A second publisher is told that there is another", arguments: ["drop", "drop.tar.gz"])
  func locked(name: String) async throws {
    let path = folder[name]
    let source = source
    try await publish(
      to: path,
      signer: TextSigner { _ in
        let other = DropWriter(path: path)
        let error = try await thrown(PublicationError.self) {
          _ = try await other.publish(other.documents(in: source))
        }
        #expect(error.code == .busy, "\(error)")
      })
  }

  @Test("Old documents stay until they are pruned, and what nobody named is left alone")
  func prune() async throws {
    let first = try await publish(signer: TextSigner())
    try write("new\n", to: source + "/a.yaml")
    try write("mine", to: target + "/documents/README")
    try write("mine", to: target + "/notes.txt")
    let second = try await publish(PublicationOptions(bundle: true), signer: TextSigner())
    #expect(names(in: target + "/documents").count == 5)
    #expect(names(in: target + "/signatures").count == 2)
    try write("newer\n", to: source + "/a.yaml")
    let third = try await publish(PublicationOptions(prune: true), signer: TextSigner())
    #expect(
      names(in: target + "/documents") == (["README"] + third.manifest.documents.map(\.digest.fileName)).sorted())
    #expect(names(in: target + "/signatures") == [third.revision.digest.fileName + ".sig"])
    #expect(names(in: target + "/bundles") == [])
    #expect(names(in: target).contains("notes.txt"))
    #expect(try await fetched().allDocuments().count == 3)
    #expect(first.manifest.documents != second.manifest.documents)
  }

  @Test("Documents that are there already are not written again, and one that was damaged is repaired")
  func repair() async throws {
    let first = try await publish()
    let paths = first.manifest.documents.map { target + "/" + $0.url! }
    let before = paths.map { FileStatus(at: $0) }
    try write("alphX\n", to: paths[0])
    try await publish()
    #expect(try contents(of: paths[0]) == Array("alpha\n".utf8))
    #expect(FileStatus(at: paths[1]) == before[1])
    #expect(FileStatus(at: paths[2]) == before[2])
  }

  @Test(
    "Temporary files of a killed publisher are removed, other hidden files are not", arguments: ["drop", "drop.tar.gz"])
  func temporaries(name: String) async throws {
    try await publish(to: folder[name])
    let stale =
      name == "drop"
      ? ["drop/.manifest.json.99.tmp", "drop/documents/.3.99.tmp", "drop/signatures/.sha256-ab.sig.99.tmp"]
      : [".drop.tar.gz.99.tmp"]
    for path in stale + ["drop/.git/config.tmp", ".other.tar.gz.99.tmp"] { try write("x", to: folder[path]) }
    try await publish(to: folder[name])
    for path in stale { #expect(!FileManager.default.fileExists(atPath: folder[path]), "\(path)") }
    #expect(FileManager.default.fileExists(atPath: folder["drop/.git/config.tmp"]))
    #expect(FileManager.default.fileExists(atPath: folder[".other.tar.gz.99.tmp"]))
  }

  @Test("The bundle of a drop holds exactly the documents, at its root, named by their digests")
  func bundle() async throws {
    try write("alpha\n", to: source + "/same-as-a")
    let publication = try await publish(PublicationOptions(bundle: true))
    let bundle = try #require(publication.manifest.bundle)
    let path = target + "/" + bundle.url
    let bytes = try contents(of: path)
    #expect(Digest.of(bytes) == bundle.digest)
    #expect(bundle.advisorySize == UInt64(bytes.count))
    #expect(bundle.url == "bundles/\(bundle.digest.fileName).tar.gz")
    let listed = try await run(["tar", "tzf", path]).split(separator: "\n").map(String.init)
    #expect(listed.sorted() == Set(publication.manifest.documents.map(\.digest.fileName)).sorted())
    try FileManager.default.createDirectory(atPath: folder["out"], withIntermediateDirectories: true)
    try await run(["tar", "xzf", path, "-C", folder["out"]])
    for document in publication.manifest.documents {
      #expect(Digest.of(try contents(of: folder["out/" + document.digest.fileName])) == document.digest)
    }
    try await run(["gzip", "-t", path])
  }

  @Test("One file with a whole drop unpacks with tar into a drop, and the same drop packs into the same bytes")
  func deterministic() async throws {
    let options = PublicationOptions(version: 3, issued: Date(timeIntervalSince1970: 1_700_000_000))
    let publication = try await publish(options, to: folder["one.tar.gz"], signer: TextSigner())
    try await publish(options, to: folder["two.tar.gz"], signer: TextSigner())
    #expect(try contents(of: folder["one.tar.gz"]) == contents(of: folder["two.tar.gz"]))
    let listed = try await run(["tar", "tvzf", folder["one.tar.gz"]]).split(separator: "\n")
    #expect(listed.count == 5)
    #expect(listed[0].hasSuffix("manifest.json") && listed[1].hasSuffix(".sig"))
    #expect(listed.allSatisfy { $0.hasPrefix("-rw-r--r-- 0/0") && $0.contains("1970-01-01") })
    try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
    try await run(["tar", "xzf", folder["one.tar.gz"], "-C", target])
    #expect(try await fetched().revision == publication.revision)
    #expect(try await fetched().allDocuments().count == 3)
  }

  @Test("A large document is copied whole, and once")
  func large() async throws {
    var bytes = [UInt8](repeating: 0, count: 5 << 20 | 3)
    for index in stride(from: 0, to: bytes.count, by: 89) { bytes[index] = UInt8(truncatingIfNeeded: index &* 31) }
    try write(bytes, to: source + "/large")
    for name in ["drop", "drop.tar.gz"] {
      try await publish(to: folder[name])
      #expect(try await fetched(folder[name]).allDocuments()["large"] == bytes)
    }
    let before = FileStatus(at: target + "/documents/" + Digest.of(bytes).fileName)
    try await publish()
    #expect(FileStatus(at: target + "/documents/" + Digest.of(bytes).fileName) == before)
  }

  @Test("Thousands of documents are published and fetched")
  func many() async throws {
    for index in 0..<2000 { try write("document \(index)", to: source + "/many/\(index)") }
    for name in ["drop", "drop.tar.gz"] {
      try await publish(to: folder[name])
      #expect(try await fetched(folder[name]).allDocuments().count == 2003)
    }
  }

  @Test("A drop inside the documents' directory is refused, not published into itself")
  func inside() async throws {
    let path = source + "/drop"
    _ = try await DropWriter(path: path).publish([])
    let error = try await thrown(PublicationError.self) { try await publish(to: path) }
    #expect(error.description.contains("apart"), "\(error)")
  }

  @Test("A file that is written to while it is copied is published as it was copied, or not at all")
  func changing() async throws {
    try write([UInt8](repeating: 65, count: 1 << 20), to: source + "/changing")
    let path = source + "/changing"
    let writing = Task.detached {
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      var offset: UInt64 = 0
      while !Task.isCancelled {
        offset = (offset + 7919) % (1 << 20 - 16)
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data("changed".utf8))
        await Task.yield()
      }
    }
    for _ in 0..<5 {
      try await publish()
      #expect(try await fetched().allDocuments().count == 4)
      do {
        try await publish(to: folder["drop.tar.gz"])
        #expect(try await fetched(folder["drop.tar.gz"]).allDocuments().count == 4)
      } catch let error as PublicationError {
        #expect(error.description.contains("changed"), "\(error)")
      }
    }
    writing.cancel()
    _ = await writing.result
  }

  @Test("A file that never ends growing is not read for ever")
  func growing() async throws {
    let path = source + "/growing"
    try write([UInt8](repeating: 65, count: 1 << 20), to: path)
    let file = try OpenFile.reading(path)
    var total: UInt64 = 0
    #expect(throws: PublicationError.self) {
      _ = try DocumentStaging.read(file, Limits(), total: &total) { _ in
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(repeating: 66, count: 1 << 20))
      }
    }
  }
}
