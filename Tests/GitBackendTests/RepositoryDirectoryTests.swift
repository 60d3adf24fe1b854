import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// What a repository on this disk may be made of, before libgit2 opens anything in it.
@Suite(.timeLimit(.minutes(3))) struct RepositoryDirectoryTests {
  @Test(arguments: [
    ("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n", "SHA-1"),
    ("[core]\n\trepositoryformatversion = 1\n[Extensions] refStorage = reftable\n", "refStorage"),
    ("[core]\n\trepositoryformatversion = 2\n", "version 2"),
    ("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tlater = true ; than this\n", "later"),
  ])
  func `a repository of a format that is not known is refused in words, read or written`(
    configuration: String, word: String
  ) async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let before = try contents(of: repository.path + "/config")
    try write(configuration, to: repository.path + "/config")
    let device = try Device(repository)
    let error = try await thrown(BackendError.self) { try await device.look() }
    #expect(error.code == .unsupported)
    #expect(error.message.contains(word), "\(error)")
    let branch = try GitBranch(
      try SourceAddress("git+file://\(repository.path)?ref=main"), context: BackendContext(device: "publisher"))
    let objects = try await run(["find", repository.path, "-newer", repository.path + "/config"])
    let all: @Sendable (String) -> Bool = { _ in true }
    let refusal = try await thrown(BackendError.self) {
      try await branch.commit(at: Date(), sign: nil, including: all) { _ in "never" }
    }
    #expect(refusal.code == .unsupported)
    #expect(try await run(["find", repository.path, "-newer", repository.path + "/config"]) == objects)
    try write(before, to: repository.path + "/config")
    #expect(try await device.look() == ["press": "1"])
  }

  @Test func `a repository that git itself made with SHA-256 names is refused on every transport`() async throws {
    let repository = try await OperatorRepository()
    let path = repository.folder["site/new.git"]
    try await run(["git", "init", "-q", "--bare", "-b", "main", "--object-format=sha256", path])
    let blob = try await run(["git", "-C", path, "hash-object", "-w", "--stdin"], input: Array("x".utf8))
    let tree = try await run(["git", "-C", path, "mktree"], input: Array("100644 blob \(blob)\tpress\n".utf8))
    let commit = try await run(
      ["git", "-C", path, "-c", "user.name=o", "-c", "user.email=o@x", "commit-tree", tree, "-m", "x"])
    try await run(["git", "-C", path, "update-ref", "refs/heads/main", commit])
    for way in [Way.file, .https, .httpsVersion0, .ssh] {
      let road = try await way.road(to: repository)
      let backend = try GitBackend(
        try SourceAddress(road.address.replacingOccurrences(of: "repository", with: "new") + "?ref=main"),
        context: BackendContext(device: "press-42", settings: road.settings))
      let error = try await thrown(BackendError.self) { _ = try await backend.fetch(FetchRequest()) }
      #expect(error.code == .unsupported && error.message.contains("SHA-1"), "\(way): \(error)")
      await road.tearDown()
    }
  }

  @Test(arguments: [
    "HEAD", "packed-refs", "config", "refs/heads/main", "objects/info/alternates", "shallow", "object", "pack",
  ])
  func `a FIFO where a file should be is refused at once, and one away again is forgotten`(name: String) async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let commit = try await repository.git("rev-parse", "main")
    let place =
      switch name {
      case "object": "objects/\(commit.prefix(2))/\(commit.dropFirst(2))"
      case "pack": "objects/pack/pack-\(String(repeating: "1", count: 40)).idx"
      default: name
      }
    let file = "\(repository.path)/\(place)"
    let before = try? contents(of: file)
    try? FileManager.default.removeItem(atPath: file)
    try #require(mkfifo(file, 0o600) == 0)
    let device = try Device(repository, "ref=main")
    let error = try await thrown(BackendError.self) { try await device.look(timeout: .seconds(20)) }
    #expect(error.code != .timeout && error.message.contains("not a regular file"), "\(error)")
    try FileManager.default.removeItem(atPath: file)
    if let before { try write(before, to: file) }
    #expect(try await device.look() == ["press": "1"])
  }

  @Test(arguments: ["packed-refs", "HEAD", "refs/heads/main", "config", "object"])
  func `a sparse file of 3 GB is refused without being read`(name: String) async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let commit = try await repository.git("rev-parse", "main")
    let place = name == "object" ? "objects/\(commit.prefix(2))/\(commit.dropFirst(2))" : name
    let file = "\(repository.path)/\(place)"
    _ = FileManager.default.createFile(atPath: file, contents: nil)
    try #require(chmod(file, 0o644) == 0 && truncate(file, 3 << 30) == 0)
    let error = try await thrown(BackendError.self) { try await Device(repository).look(timeout: .seconds(20)) }
    #expect(error.message.contains("3221225472 bytes"), "\(error)")
  }

  @Test func `a tree that holds itself thousands of times is not unfolded to publish on it`() async throws {
    let repository = try await OperatorRepository()
    // 2 MB of zeros under 30 names, in 30 directories, in 30 directories: 54 GB.
    var tree = try await repository.git(
      ["hash-object", "-w", "--stdin"], input: [UInt8](repeating: 0, count: 2_000_000))
    for (depth, kind) in ["100644 blob", "040000 tree", "040000 tree"].enumerated() {
      let listing = (0..<30).map { "\(kind) \(tree)\t\(depth == 2 ? "documents" : "")\($0)\n" }.joined()
      tree = try await repository.git(["mktree"], input: Array(listing.utf8))
    }
    tree = try await repository.git(["mktree"], input: Array("040000 tree \(tree)\tdocuments\n".utf8))
    try await repository.commit(treeNamed: tree, signer: nil)
    let branch = try GitBranch(
      try SourceAddress("git+file://\(repository.path)?ref=main"), context: BackendContext(device: "publisher"))
    let all: @Sendable (String) -> Bool = { _ in true }
    try await branch.commit(at: Date(), sign: nil, including: all) { directory in
      let used = try await run(["du", "-s", "--block-size=1M", directory])
      let size = try #require(Int(used.split(separator: "\t")[0]))
      #expect(size < 200, "\(used)")
      try write("new", to: directory + "/manifest.json")
      return "published"
    }
    #expect(try await repository.git("log", "-1", "--format=%s", "main") == "published")
    let before = try await repository.git("rev-parse", "main~1:documents/documents0")
    #expect(try await repository.git("rev-parse", "main:documents/documents0") == before)
  }

  @Test func `what libgit2 starts is not taken apart at the program's end`() async {
    await #expect(processExitsWith: .success) {
      #expect(expectOpenSSLToOutliveTheProgram())
      let repository = try await OperatorRepository()
      try await repository.commit(["press": "1"])
      _ = try await Device(repository).look()
    }
  }
}
