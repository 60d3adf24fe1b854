import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// What a tree may hold, and what not.
@Suite(.timeLimit(.minutes(2))) struct TreeTests {
  @Test func `a directory of the tree is followed alone`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository, "ref=main&path=sites/north")
    try await repository.commit(["sites/north/press": "1", "sites/south/press": "2", "README": "words"])
    #expect(try await device.look() == ["press": "1"])
    try await repository.commit(["sites/north/press": "1", "sites/south/press": "3", "README": "words"])
    // The same documents: looked at again because the commit is another, and adopted as it is.
    #expect(try await device.look() == ["press": "1"])
    #expect(try await device.look() == nil)
  }

  @Test func `what is not there is absent, and a directory without files an empty state`() async throws {
    let repository = try await OperatorRepository()
    #expect(try await Device(repository).fetch().isAbsent)
    try await repository.commit(["a/press": "1", "b/.gitkeep": ""])
    #expect(try await Device(repository, "ref=main&path=c").fetch().isAbsent)
    #expect(try await Device(repository, "ref=gone").fetch().isAbsent)
    let empty = try Device(repository, "ref=main&path=b")
    let state = try #require(try await empty.fetch().state)
    #expect(try StateManifest(parsing: state.manifest, requiresVersion: false).documents.isEmpty)
    let error = try await thrown(VerificationError.self) {
      _ = try await Device(repository, "ref=main&path=a/press").fetch()
    }
    #expect(error.code == .manifestMalformed)
  }

  @Test func `the folder of a drop is read once, however many documents are wanted`() async throws {
    let repository = try await OperatorRepository()
    var files: [String: String] = [:]
    var deployments: [String] = []
    for number in 0..<200 {
      let digest = Digest.of(Array("document \(number)".utf8))
      files[DropLayout.document(digest)] = "document \(number)"
      deployments.append(#"{"deploymentId":"d-\#(number)","digest":"\#(digest)"}"#)
    }
    let list = deployments.joined(separator: ",")
    files[DropLayout.manifest] = #"{"manifestVersion":1,"bundle":null,"deployments":[\#(list)]}"#
    try await repository.commit(files)
    let device = try Device(repository, policy: .unsigned)
    let state = try #require(try await device.fetch().state)
    let documents = try StateManifest(parsing: state.manifest).documents
    func read(_ document: DocumentReference) async throws -> [UInt8] {
      var bytes: [UInt8] = []
      for try await piece in try await state.documents.open(document) { bytes += piece }
      return bytes
    }
    #expect(Digest.of(try await read(documents[0])) == documents[0].digest)
    // Reading it again would find it gone.
    let folder = try await repository.git("rev-parse", "main:documents")
    try FileManager.default.removeItem(atPath: "\(repository.path)/objects/\(folder.prefix(2))/\(folder.dropFirst(2))")
    for document in documents { #expect(Digest.of(try await read(document)) == document.digest) }
  }

  @Test func `a deleted branch is absent, not empty`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "1"])
    try await device.look()
    try await repository.git("update-ref", "-d", "refs/heads/main")
    #expect(try await device.fetch().isAbsent)
  }

  @Test func `a symbolic link, a submodule and a Git LFS pointer are refused in words`() async throws {
    let repository = try await OperatorRepository()
    let blob = try await repository.git(["hash-object", "-w", "--stdin"], input: Array("press".utf8))
    try await repository.commitEntries("120000 blob \(blob)\tlink\n")
    #expect(try await Device(repository).refusal().reason.contains("symbolic link"))
    try await repository.commitEntries("160000 commit \(String(repeating: "7", count: 40))\tmodule\n")
    #expect(try await Device(repository).refusal().reason.contains("submodule"))
    let pointer = """
      version https://git-lfs.github.com/spec/v1
      oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
      size 12345

      """
    try await repository.commit(["big": pointer])
    #expect(try await Device(repository).refusal().reason.contains("LFS"))
  }

  /// Raw names, as a program that is not git may write them.
  private func commit(entriesNamed names: [[UInt8]], in repository: OperatorRepository) async throws {
    let blob = try await repository.git(["hash-object", "-w", "--stdin"], input: Array("x".utf8))
    let id = stride(from: 0, to: 40, by: 2).map {
      UInt8(String(decoding: Array(blob.utf8)[$0...$0 + 1], as: UTF8.self), radix: 16)!
    }
    let tree = try await repository.git(
      ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
      input: names.flatMap { Array("100644 ".utf8) + $0 + [0] + id })
    try await repository.commit(treeNamed: tree)
  }

  @Test(arguments: [
    // An accent by itself and one with its letter; not UTF-8 at all; the same name twice.
    [Array("cafe\u{301}.yaml".utf8), Array("caf\u{e9}.yaml".utf8)], [[0x78, 0xfe], [0x78, 0xff]], [[0x78], [0x78]],
  ])
  func `names that are one to people, or none, are refused and crash nobody`(names: [[UInt8]]) async throws {
    let repository = try await OperatorRepository()
    try await commit(entriesNamed: names, in: repository)
    #expect(try await Device(repository).refusal().code == .unsafeDocumentID)
  }

  @Test(arguments: [Way.https, .file])
  func `a commit that is not as git makes it is refused, and the cache kept`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let cache = TemporaryDirectory()
    let device = try Device(repository, over: road, cache: cache.path)
    let good = try await repository.commit(["press": "1"])
    try await device.look()
    let held = names(in: cache.path).flatMap { names(in: cache["\($0)/pack"]) }
    let text = try await repository.git("cat-file", "commit", good)
    let bad = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.hasPrefix("committer ") ? "committer nobody" : String($0)
    }
    let id = try await repository.git(
      ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], input: Array(bad.joined(separator: "\n").utf8))
    try write(id + "\n", to: repository.path + "/refs/heads/main")
    for _ in 1...2 { #expect(try await device.refusal().code == .manifestMalformed) }
    #expect(Set(names(in: cache.path).flatMap { names(in: cache["\($0)/pack"]) }).isSuperset(of: held))
    try await repository.git("update-ref", "refs/heads/main", good)
    try await repository.commit(["press": "2"])
    #expect(try await device.look() == ["press": "2"])
    await road.tearDown()
  }

  @Test func `a commit that is too long is refused before it is read`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let text = try await repository.git("cat-file", "commit", "main")
    let parents = String(repeating: "parent \(try await repository.git("rev-parse", "main"))\n", count: 25_000)
    let tree = text.prefix { $0 != "\n" }
    let rest = text.dropFirst(tree.count + 1)
    let id = try await repository.git(
      ["hash-object", "-t", "commit", "-w", "--stdin"], input: Array("\(tree)\n\(parents)\(rest)".utf8))
    try await repository.git("update-ref", "refs/heads/main", id)
    #expect(try await Device(repository).refusal().code == .limitExceeded)
  }

  @Test(arguments: ["..", ".", ".git", ".GIT", "a/b"])
  func `a tree entry that git itself would not check out is refused`(name: String) async throws {
    let repository = try await OperatorRepository()
    try await commit(entriesNamed: [Array(name.utf8)], in: repository)
    #expect(try await Device(repository).refusal().code == .unsafeDocumentID)
  }

  @Test(arguments: [Way.file, .https])
  func `a tree of 100,000 entries ends at the limit`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let blob = try await repository.git(["hash-object", "-w", "--stdin"], input: Array("x".utf8))
    try await repository.commitEntries((0...100_000).map { "100644 blob \(blob)\tdocument-\($0)\n" }.joined())
    let road = try await way.road(to: repository)
    #expect(try await Device(repository, over: road).refusal().code == .limitExceeded)
    await road.tearDown()
  }

  @Test func `a tree that is in itself a thousand times a thousand times ends at the limit`() async throws {
    let repository = try await OperatorRepository()
    let blob = try await repository.git(["hash-object", "-w", "--stdin"], input: Array("x".utf8))
    var tree = try await repository.git(["mktree"], input: Array("100644 blob \(blob)\tdocument\n".utf8))
    for _ in 0..<4 {
      tree = try await repository.git(
        ["mktree"], input: Array((0..<1000).map { "040000 tree \(tree)\tdirectory-\($0)\n" }.joined().utf8))
    }
    try await repository.commit(treeNamed: tree)
    #expect(try await Device(repository).refusal().code == .limitExceeded)
  }

  @Test func `documents are the blobs as they are, whatever .gitattributes says`() async throws {
    let repository = try await OperatorRepository()
    let blob = try await repository.git(
      ["hash-object", "-w", "--no-filters", "--stdin"], input: Array("a\r\n$Id$\n".utf8))
    let attributes = try await repository.git(
      ["hash-object", "-w", "--stdin"], input: Array("* text eol=lf ident filter=lfs\n".utf8))
    try await repository.commitEntries("100644 blob \(attributes)\t.gitattributes\n100644 blob \(blob)\tpress\n")
    #expect(try await Device(repository).look() == ["press": "a\r\n$Id$\n"])
  }

  @Test(arguments: [Way.file, .https])
  func `a tag that leads to a file and not to a commit is refused in words`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    try await repository.commit(["press": "1"])
    try await repository.git("tag", "file", "main:press")
    #expect(try await Device(repository, "ref=file", over: road).refusal().code == .manifestMalformed)
    // What else is in the repository is not affected.
    #expect(try await Device(repository, over: road).look() == ["press": "1"])
    await road.tearDown()
  }
}
