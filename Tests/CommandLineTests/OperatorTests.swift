import Foundation
import Testing

@Suite("What an operator asks of a store")
struct OperatorTests {
  let site = try! Site()

  private func run(_ arguments: String...) async throws -> Finished {
    try await Tool.run(Tool.desiredState, [arguments[0], "--store", site.store] + arguments.dropFirst())
  }

  private func adopt(_ version: Int, _ documents: [(String, String)], key: String) async throws {
    try await site.publishByHand(version: "\(version)", documents: documents, keys: [key])
    let run = try await site.follow()
    #expect(run.status == 0, "\(run)")
  }

  @Test("history and diff tell what was adopted, and what changed; rollback and resume go back and forth")
  func backAndForth() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await adopt(1, [("a", "1"), ("b", "1")], key: key)
    try await adopt(2, [("a", "2"), ("c", "1")], key: key)
    let history = try await run("history", "--json").output.split(separator: "\n")
    #expect(history.count == 2 && history[0].contains("\"version\":2") && history[1].contains("\"version\":1"))
    #expect(history.allSatisfy { $0.contains("\"outcome\":\"applied\"") })
    #expect(try await run("history").output.contains("signed by ops"))
    let diff = try await run("diff", "--json").output
    for (document, change) in [("a", "modified"), ("b", "removed"), ("c", "added")] {
      #expect(diff.contains("\"change\":\"\(change)\"") && diff.contains("\"document\":\"\(document)\""))
    }
    #expect(try await run("diff", "--from", "2", "--to", "1").output.contains("+ b"))
    try await site.publishByHand(version: "3", documents: [("c", "1"), ("d", "1")], keys: [key])
    let ahead = try await Tool.run(
      Tool.desiredState, ["diff", site.drop, "--trust", site.trust, "--store", site.store, "--json"])
    #expect(ahead.status == 0 && ahead.output.split(separator: "\n").count == 2, "\(ahead)")
    #expect(ahead.output.contains("\"document\":\"d\"") && ahead.output.contains("\"change\":\"removed\""))
    let nothing = try await Tool.run(Tool.desiredState, ["diff", site.drop, "--trust", site.trust])
    #expect(nothing.output.split(separator: "\n").allSatisfy { $0.hasPrefix("+ ") }, "\(nothing)")
    try await site.publishByHand(version: "2", documents: [("a", "2"), ("c", "1")], keys: [key])
    #expect(try await run("rollback").status == 0)
    #expect(try await site.status().adopted?.version == 1)
    #expect(try await run("status").output.contains("not up to date: rolled back from version 2 to version 1"))
    #expect(try await run("resume").status == 0)
    #expect(try await site.follow().status == 0)
    #expect(try site.files(below: site.current) == ["a": "2", "c": "1"])
  }

  @Test("What is not kept cannot be gone back to, and the message says what is") func notKept() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await adopt(1, [("a", "1")], key: key)
    let back = try await run("rollback")
    #expect(back.status == 1 && back.complaint.contains("nothing to go back to"), "\(back)")
    let to = try await run("rollback", "--to", "9")
    #expect(to.status == 1 && to.complaint.contains("kept are: 1"), "\(to)")
    let none = try await Tool.run(Tool.desiredState, ["history", "--store", site.root + "/none"])
    #expect(none.status == 1 && none.complaint.contains("not a store"), "\(none)")
  }

  @Test("reset lets a device out of a signed mistake, and status says that it was done") func reset() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await adopt(500, [("a", "mistake")], key: key)
    try await site.publishByHand(version: "7", documents: [("a", "right")], keys: [key])
    #expect(try await site.follow().status == 3)
    #expect(try await run("reset").status == 64)
    #expect(try await run("reset", "--floor", "7", "--refusals").status == 0)
    #expect(try await run("history").output.hasPrefix("  reset by an operator: the version floor, to 7, the refusals"))
    #expect(try await site.follow().status == 0)
    let history = try await run("history", "--json").output.split(separator: "\n")
    #expect(history.count == 3 && history[0].contains("\"version\":7") && history[2].contains("\"version\":500"))
    #expect(history[1].contains("\"outcome\":\"reset\"") && history[1].contains("the version floor, to 7"))
    let receipt = try site.read(site.drop + "/acknowledgements/press-42/state.json")
    #expect(receipt.contains("\"adopted\""), "\(receipt)")
    #expect(try site.files(below: site.current) == ["a": "right"])
    #expect(try await run("status").output.contains("reset     the version floor, to 7, the refusals"))
  }

  @Test("status --check reads all that is kept, and names what is damaged") func check() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await adopt(1, [("a", "1"), ("b", "1")], key: key)
    let whole = try await run("status", "--check")
    #expect(whole.status == 0 && whole.output.contains("2 manifests and documents are whole"), "\(whole)")
    let blob = site.store + "/blobs/sha256-" + (try await site.sha256("1"))
    try await Tool.succeed("sh", ["-ec", "chmod u+w '\(blob)'; printf 2 > '\(blob)'"])
    let damaged = try await run("status", "--check")
    #expect(damaged.status == 1 && damaged.output.contains("document \"a\" of version 1 is damaged"), "\(damaged)")
  }

  @Test("status says whether a device is up to date, and if not, why") func verdicts() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await adopt(1, [("a", "1")], key: key)
    #expect(try await run("status").output.hasPrefix("status    up to date: version 1 is applied"))
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [try await site.makeKey("stranger")])
    #expect(try await site.follow().status == 3)
    #expect(try await run("status", "--json").output.contains("\"upToDate\":false"))
    #expect(try await run("status").output.contains("not up to date: what is published is refused: signer-untrusted"))
  }
}

@Suite("What is kept in place")
struct CurrentTests {
  let site = try! Site()

  @Test(
    "A file of current that was changed by hand is put right at the next poll",
    arguments: [
      "rm -f a", "rm -f a; : > a", "rm -f a; mkdir a", "rm -f a; ln -s /etc/passwd a", "echo x > extra", "rm -rf dir",
      "rm -f a; printf evil > a",
    ])
  func putRight(_ harm: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let documents = [("a", "good"), ("dir/b", "1")]
    try await site.publishByHand(documents: documents, keys: [key])
    #expect(try await site.follow().status == 0)
    try await Tool.succeed("sh", ["-ec", "cd '\(site.current)'; chmod -R u+w . ; \(harm)"])
    let run = try await site.follow()
    #expect(run.status == 0 && run.names.contains("applied"), "\(run)")
    #expect(try site.files(below: site.current) == Dictionary(uniqueKeysWithValues: documents))
    // And it stays right: nothing is applied once more.
    #expect(try await site.follow().names.contains("applied") == false)
  }

  @Test("The whole of current, or its link, comes back when it is taken away", arguments: ["current", "revisions"])
  func takenAway(_ name: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow().status == 0)
    try site.remove(site.into + "/" + name)
    #expect(try await site.follow().status == 0)
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n"])
  }

  @Test("A half-built tree of a killed process does not stay, and does not stand in the way") func halfBuilt()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow().status == 0)
    try site.write("half", to: site.into + "/revisions/.sha256-00.4711.tmp/a")
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
    #expect(try await site.follow().status == 0)
    #expect(!site.exists(site.into + "/revisions/.sha256-00.4711.tmp"))
    #expect(try site.files(below: site.current) == ["a": "2"])
  }
}

@Suite("Torture", .timeLimit(.minutes(10)))
struct TortureTests {
  @Test(
    "A sample of the points at which a system call can fail: the old state or the new one, and all that must be said")
  func sample() async throws {
    let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Scripts/torture").standardizedFileURL.path
    let run = try await Tool.run("python3", [script, Tool.desiredState, "--sample", "40", "--jobs", "2"])
    #expect(run.status == 0, "\(run.output)\(run.complaint)")
    print(run.output)
  }
}
