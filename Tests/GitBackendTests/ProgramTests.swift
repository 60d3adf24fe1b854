import DesiredState
import Foundation
import GitTestSupport
import Subprocess
import TestSupport
import Testing

@testable import GitBackend

/// The program desired-state with repositories: both ends of the road.
@Suite(.timeLimit(.minutes(3))) struct ProgramTests {
  struct Finished {
    let status: Int32
    let output: String
    let complaint: String

    func has(_ text: String) -> Bool { output.contains(text) }
    var revision: String? {
      output.firstMatch(of: /"revision":"(sha256:[0-9a-f]{64})"/).map { String($0.1) }
    }
  }

  static let program: String = {
    let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    return bundle.appendingPathComponent("desired-state").path
  }()

  func tool(_ arguments: [String]) async throws -> Finished {
    let result = try await Subprocess.run(
      .path(.init(Self.program)), arguments: Arguments(arguments), output: .string(limit: 1 << 24),
      error: .string(limit: 1 << 20))
    guard case .exited(let status) = result.terminationStatus else {
      return Finished(status: -1, output: result.standardOutput, complaint: result.standardError)
    }
    return Finished(status: status, output: result.standardOutput, complaint: result.standardError)
  }

  func flags(_ road: any TransportUnderTest) -> [String] {
    road.settings.values.flatMap { key, value in ["--\(key.name)"] + ((value as? String).map { [$0] } ?? []) }
  }

  private func trust(_ repository: OperatorRepository, _ folder: TemporaryDirectory) throws -> String {
    try write(
      "operator@plant.example namespaces=\"git,desired-state\" \(try repository.keys.publicKey("operator"))\n",
      to: folder["allowed_signers"])
    return folder["allowed_signers"]
  }

  func follow(
    _ address: String, _ folder: TemporaryDirectory, _ trust: String, _ flags: [String] = []
  ) async throws -> Finished {
    try await tool(
      [
        "follow", address, "--store", folder["store"], "--into", folder["into"], "--trust", trust, "--device",
        "press-42",
      ]
        + ["--once", "--json"] + flags)
  }

  @Test func `a branch that somebody works on is not published on`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    try await repository.commit(["README": "words"])
    try await run(["git", "clone", "-q", repository.path, folder["work"]])
    try write("recipe: 7\n", to: folder["documents/press"])
    let published = try await tool(
      ["publish", folder["documents"], "--to", "git+file://\(folder["work"])?ref=main&path=drop"])
    #expect(published.status != 0 && published.complaint.contains("checked out"), "\(published)")
    #expect(try await run(["git", "-C", folder["work"], "status", "--porcelain"]).isEmpty)
    let other = try await tool(["publish", folder["documents"], "--to", "git+file://\(folder["work"])?ref=drops"])
    #expect(other.status == 0, "\(other)")
    let through = try await tool(
      ["publish", folder["documents"], "--to", "git+file://\(repository.path)?ref=main&path=README/drop"])
    #expect(through.status != 0 && through.complaint.contains("README"), "\(through)")
  }

  @Test func `publishing ends when it is told to, and leaves nothing behind`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    let road = try await GitOverSSH(repository, command: "sleep 100")
    try write("recipe: 7\n", to: folder["documents/press"])
    try FileManager.default.createDirectory(atPath: folder["tmp"], withIntermediateDirectories: true)
    let result = try await Subprocess.run(
      .name("timeout"),
      arguments: Arguments(
        ["-s", "INT", "2", Self.program, "publish", folder["documents"], "--to", "\(road.address)?ref=main"]
          + flags(road)), environment: .inherit.updating(["TMPDIR": folder["tmp"]]), output: .discarded,
      error: .string(limit: 1 << 16))
    #expect(result.terminationStatus == .exited(124))
    #expect(result.standardError.contains("interrupted"), "\(result.standardError)")
    #expect(names(in: folder["tmp"]).isEmpty)
    await road.tearDown()
  }

  @Test func `a mirror that is behind never takes a device back`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    try await repository.commit(["press": "1"])
    try await run(["git", "clone", "-q", "--mirror", repository.path, folder["mirror.git"]])
    try await repository.commit(["press": "2"])
    func look() async throws -> Finished {
      try await tool(
        [
          "follow", "git+file://\(repository.path)?ref=main", "git+file://\(folder["mirror.git"])?ref=main", "--store",
          folder["store"], "--into", folder["into"], "--trust", trust, "--device", "press-42", "--once", "--json",
        ])
    }
    #expect(try await look().status == 0)
    try FileManager.default.moveItem(atPath: repository.path, toPath: repository.path + ".away")
    let behind = try await look()
    #expect(behind.has("\"behind\""), "\(behind)")
    #expect(String(decoding: try contents(of: folder["into/current/press"]), as: UTF8.self) == "2")
    try await run(["git", "-C", folder["mirror.git"], "fetch", "-q", repository.path + ".away", "+refs/*:refs/*"])
    #expect(try await look().status == 0)
  }

  @Test(arguments: [Way.file, .https, .ssh])
  func `a drop is published in a repository and followed from it`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    let address = "\(road.address)?ref=main&path=drops/north"
    for (version, recipe) in [(1, "7"), (2, "8")] {
      try write("recipe: \(recipe)\n", to: folder["documents/press"])
      try write("speed: 2\n", to: folder["documents/line/belt"])
      let published = try await tool(
        ["publish", folder["documents"], "--to", address, "--key", repository.keys.folder["operator"], "--json"]
          + flags(road))
      #expect(published.status == 0, "\(published.complaint)")
      #expect(published.has("\"version\":\(version)"), "\(published.output)")
      let followed = try await follow(address, folder, trust, flags(road))
      #expect(followed.status == 0, "\(followed.output)\(followed.complaint)")
      #expect(try String(contentsOfFile: folder["into/current/press"], encoding: .utf8) == "recipe: \(recipe)\n")
      #expect(try await follow(address, folder, trust, flags(road)).has("unchanged"))
    }
    // git itself is content with it, signature and all.
    try await repository.git("fsck", "--strict")
    try await repository.git(
      "-c", "gpg.ssh.allowedSignersFile=\(trust)", "verify-commit", "refs/heads/main")
    #expect(try await repository.git("rev-list", "--count", "main") == "2")
    // And the receipts are in the repository.
    let receipts = "refs/heads/acknowledgements/press-42"
    let state = try await repository.show("acknowledgements/press-42/state.json", at: receipts)
    #expect(String(decoding: state, as: UTF8.self).contains("\"adopted\""))
    let said = try await tool(
      ["acknowledge", address, "--store", folder["store"], "--document", "press", "--state", "installed", "--device"]
        + ["press-42"] + flags(road))
    #expect(said.status == 0, "\(said.output)\(said.complaint)")
    #expect(
      try await repository.git("ls-tree", "-r", "--name-only", receipts).contains("documents/press.json"))
    await road.tearDown()
  }

  @Test func `an operator's signed commits are followed, and a rewritten branch refused while the last state stays`()
    async throws
  {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    let address = "\(road.address)?ref=main"
    try await repository.commit(["press": "1"])
    #expect(try await follow(address, folder, trust, flags(road)).status == 0)
    try await repository.commit(["press": "2"], signer: nil)
    let unsigned = try await follow(address, folder, trust, flags(road))
    #expect(unsigned.status == 3)
    #expect(unsigned.has("signature-missing"))
    try await repository.commit(["press": "3"], signer: "stranger")
    #expect(try await follow(address, folder, trust, flags(road)).has("signer-untrusted"))
    try await repository.git("reset", "-q", "--hard", "HEAD~2")
    try await repository.commit(["press": "4"], amend: true)
    let rewritten = try await follow(address, folder, trust, flags(road))
    #expect(rewritten.status == 3)
    #expect(rewritten.has("history-rewritten"), "\(rewritten.output)")
    #expect(try String(contentsOfFile: folder["into/current/press"], encoding: .utf8) == "1")
    let status = try await tool(["status", "--store", folder["store"], "--json"])
    #expect(status.has("history-rewritten"))
    await road.tearDown()
  }

  @Test func `a new policy does not forget which commit was adopted`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    let address = "git+file://\(repository.path)?ref=main"
    try await repository.commit(["press": "1"])
    #expect(try await follow(address, folder, trust).status == 0)
    try write(
      String(contentsOfFile: trust, encoding: .utf8)
        + "new namespaces=\"git\" \(try repository.keys.publicKey("second"))\n",
      to: trust)
    try await repository.commit(["press": "2"], amend: true)
    #expect(try await follow(address, folder, trust).has("history-rewritten"))
  }

  @Test func `the same drop from a disk and from Git is one revision, and one version floor`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    let key = repository.keys.folder["operator"]
    try write("recipe: 7\n", to: folder["documents/press"])
    for version in ["4", "5"] {
      let made = try await tool(
        ["publish", folder["documents"], "--to", folder["drop-\(version)"], "--version", version, "--key", key])
      #expect(made.status == 0, "\(made.complaint)")
    }
    try await run(["cp", "-r", folder["drop-5"], repository.tree + "/drop"])
    try await repository.commitTree(signer: nil)
    let git = "git+file://\(repository.path)?ref=main&path=drop"
    let adopted = try await follow(git, folder, trust)
    #expect(adopted.status == 0, "\(adopted.output)")
    let fromDisk = try await follow(folder["drop-5"], folder, trust)
    #expect(fromDisk.status == 0)
    #expect(fromDisk.has("unchanged"))
    #expect(adopted.revision != nil)
    #expect(adopted.revision == fromDisk.revision)
    let old = try await follow(folder["drop-4"], folder, trust)
    #expect(old.status == 3)
    #expect(old.has("version-rollback"), "\(old.output)")
  }

  @Test func `killed at any moment of a fetch, the next run recovers by itself`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let folder = TemporaryDirectory()
    let trust = try trust(repository, folder)
    let address = "\(road.address)?ref=main"
    for round in 0..<12 {
      try await repository.commit([
        "press": Array("\(round)".utf8), "large": (0..<2_000_000).map { _ in UInt8.random(in: 0...255) },
      ])
      let arguments = Arguments(
        ["-s", "KILL", "0.\(String(format: "%03d", 20 + 25 * round))", Self.program, "follow", address, "--store"]
          + [folder["store"], "--into", folder["into"], "--trust", trust, "--device", "press-42", "--once"]
          + flags(road))
      _ = try await Subprocess.run(.name("timeout"), arguments: arguments, output: .discarded, error: .discarded)
    }
    let recovered = try await follow(address, folder, trust, flags(road))
    #expect(recovered.status == 0, "\(recovered.output)\(recovered.complaint)")
    #expect(try String(contentsOfFile: folder["into/current/press"], encoding: .utf8) == "11")
    await road.tearDown()
  }

  @Test func `a repository is published in by two at once, and nothing is lost`() async throws {
    let repository = try await OperatorRepository()
    let folder = TemporaryDirectory()
    try write("recipe: 7\n", to: folder["documents/press"])
    let statuses = try await withThrowingTaskGroup(of: Int32.self) { group in
      for site in ["north", "south", "east"] {
        group.addTask {
          try await tool(
            ["publish", folder["documents"], "--to", "git+file://\(repository.path)?ref=main&path=\(site)", "--key"]
              + [repository.keys.folder["operator"]]
          ).status
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses == [0, 0, 0])
    #expect(try await repository.git("ls-tree", "--name-only", "main") == "east\nnorth\nsouth")
  }
}
