import DropPublisher
import Foundation
import Testing

@Suite("Killed at any moment: the old state or the new one, never half of either")
struct KillTests {
  let site = try! Site()

  /// System calls at whose entry the process is killed: all that change the disk.
  private static let calls = [
    "openat", "write", "fsync", "syncfs", "rename", "link", "symlink", "unlink", "rmdir", "mkdir", "utimensat",
  ]

  @Test("follow, killed at the Nth call of each kind while it adopts", arguments: calls)
  func follow(_ call: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let old = [("a", "1"), ("b", "1"), ("dir/c", "1")]
    let new = [("a", "2"), ("b", "1"), ("dir/d", "2"), ("e", "2")]
    // One state before the old one, so that there is something to clear away when the new one is adopted.
    try await site.publishByHand(version: "1", documents: [("x", "0"), ("dir/y", "0")], keys: [key])
    #expect(try await site.follow().status == 0)
    try await site.publishByHand(version: "2", documents: old, keys: [key])
    #expect(try await site.follow().status == 0)
    let before = Dictionary(uniqueKeysWithValues: old)
    let after = Dictionary(uniqueKeysWithValues: new)
    let oldRevision = try await site.status().adopted?.revision
    try await site.publishByHand(version: "3", documents: new, keys: [key])
    try await site.succeedCopy(of: "store", to: "store-before")
    try await site.succeedCopy(of: "into", to: "into-before")
    var kills = 0
    // Counted by thread and by kind; the loop ends when the process comes through without reaching the Nth call.
    for count in 1...400 {
      let run = try await Tool.run(
        "strace",
        [
          "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "inject=\(call):signal=SIGKILL:when=\(count)",
          Tool.desiredState, "follow", site.drop, "--store", site.store, "--into", site.into, "--once", "--trust",
          site.trust, "--device", "press-42",
        ])
      let files = try site.files(below: site.current)
      #expect(files == before || files == after, "\(call) number \(count): \(files)")
      let adopted = try await site.status().adopted
      #expect(adopted?.version == 2 || adopted?.version == 3, "\(call) number \(count)")
      #expect(adopted?.version == 3 || adopted?.revision == oldRevision, "\(call) number \(count)")
      if run.status == 0 { break }
      kills += 1
      // Whatever was left, the next run comes to the new state by itself.
      let next = try await site.follow()
      #expect(next.status == 0, "after \(call) number \(count): \(next)")
      #expect(try site.files(below: site.current) == after, "after \(call) number \(count)")
      for folder in ["store", "into"] {
        try site.remove(site.root + "/" + folder)
        try await site.succeedCopy(of: folder + "-before", to: folder)
      }
    }
    #expect(kills > 0, "no \(call) was reached; the test tries nothing")
  }

  @Test("publish, killed at the Nth call of each kind", arguments: ["openat", "write", "fsync", "rename", "mkdir"])
  func publish(_ call: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    for (name, text) in [("a", "1"), ("b", "1")] { try site.write(text, to: "documents/" + name) }
    try await site.publish(keys: [key])
    for (name, text) in [("a", "2"), ("c", "1")] { try site.write(text, to: "documents/" + name) }
    var kills = 0
    for count in 1...400 {
      // Only publish itself is counted, and not the ssh-keygen it runs.
      let run = try await Tool.run(
        "strace",
        [
          "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e", "inject=\(call):signal=SIGKILL:when=\(count)",
          Tool.desiredState, "publish", site.documents, "--to", site.drop, "--key", key,
        ])
      let verified = try await Tool.run(Tool.desiredState, ["verify", site.drop, "--trust", site.trust, "--json"])
      #expect(verified.status == 0, "\(call) number \(count): \(verified.output)")
      if run.status == 0 { break }
      kills += 1
      if count == 400 { Issue.record("publish never came through") }
    }
    #expect(kills > 0, "no \(call) was reached; the test tries nothing")
  }
}

extension Site {
  fileprivate func succeedCopy(of source: String, to destination: String) async throws {
    try await Tool.succeed("cp", ["-a", root + "/" + source, root + "/" + destination])
  }
}

@Suite("Durable: what is promised is on the disk before it is said")
struct DurabilityTests {
  let site = try! Site()

  /// The calls that matter, in order, each with the path it is about.
  private func calls(_ arguments: [String]) async throws -> [(name: String, path: String)] {
    let trace = site.root + "/trace"
    let run = try await Tool.run(
      "strace",
      ["-f", "-qq", "-y", "-o", trace, "-e", "trace=fsync,syncfs,rename,symlink", Tool.desiredState] + arguments)
    #expect(run.status == 0, "\(run)")
    return try site.read(trace).split(separator: "\n").compactMap { line in
      guard let open = line.firstIndex(of: "("), line.contains(" = 0") else { return nil }
      let name = line[..<open].split(separator: " ").last.map(String.init) ?? ""
      let rest = line[open...]
      let path: Substring? =
        name == "rename" || name == "symlink"
        ? rest.split(separator: "\"").dropFirst(3).first
        : rest.firstIndex(of: "<").map { rest[rest.index(after: $0)...].prefix { $0 != ">" } }
      return path.map { (name, String($0)) }
    }
  }

  private func order(
    _ calls: [(name: String, path: String)], _ steps: [(name: String, suffix: String)],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var rest = calls[...]
    for step in steps {
      guard let index = rest.firstIndex(where: { $0.name == step.name && $0.path.hasSuffix(step.suffix) }) else {
        Issue.record("no \(step.name) of …\(step.suffix) where it belongs in \(calls)", sourceLocation: sourceLocation)
        return
      }
      rest = rest[(index + 1)...]
    }
  }

  @Test("Adoption: documents synced, moved, their directory synced; then the record; then the link") func adoption()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let arguments = ["follow", site.drop, "--store", site.store, "--into", site.into, "--once", "--trust", site.trust]
    let document = "sha256-" + (try await site.sha256("press: 1\n"))
    order(
      try await calls(arguments),
      [
        ("fsync", "incoming/" + document), ("rename", "blobs/" + document), ("fsync", "/blobs"),
        ("fsync", ".state.json"), ("rename", "/state.json"), ("fsync", "/store"),
        ("syncfs", ""), ("rename", ""), ("fsync", "/revisions"), ("symlink", ""), ("rename", "/current"),
        ("fsync", "/into"),
      ].map { ($0.0, $0.1.replacingOccurrences(of: ".state.json", with: ".tmp")) })
  }

  @Test("Adoption of many documents: one sync for all before any is moved") func manyDocuments() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: (0..<40).map { ("d\($0)", "text \($0)") }, keys: [key])
    let calls = try await calls(["follow", site.drop, "--store", site.store, "--once", "--trust", site.trust])
    let firstMove = try #require(calls.firstIndex { $0.name == "rename" && $0.path.contains("/blobs/sha256-") })
    #expect(calls[..<firstMove].contains { $0.name == "syncfs" })
    #expect(calls.count { $0.name == "fsync" } < 20)
  }

  @Test("Publication: documents, then the signature, then the manifest") func publication() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("a", to: "documents/a")
    let document = "sha256-" + (try await site.sha256("a"))
    order(
      try await calls(["publish", site.documents, "--to", site.drop, "--key", key]),
      [
        ("rename", "documents/" + document), ("fsync", "/documents"), ("rename", ".sig"), ("fsync", "/signatures"),
        ("fsync", ".tmp"), ("rename", "/manifest.json"), ("fsync", "/drop"),
      ])
  }
}
