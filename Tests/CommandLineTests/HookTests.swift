import Foundation
import Testing

@Suite("follow: commands that it runs", .timeLimit(.minutes(5)))
struct HookTests {
  let site = try! Site()

  private func follow(_ more: String...) async throws -> Finished {
    try await site.follow(trust: ["--trust", site.trust] + more)
  }

  private func statuses(_ run: Finished) -> Set<String> {
    Set(run.events.compactMap { event in event.document.map { "\($0) \(event.state ?? "")" } })
  }

  private struct Input: Decodable {
    struct Document: Decodable {
      var id: String
      var path: String
    }
    var device: String
    var version: Int
    var current: String
    var documents: [Document]
    var added: [Document]
    var modified: [Document]
    var removed: [Document]
  }

  @Test("The apply command reads the update, also the bytes of what is removed, and its lines report documents")
  func apply() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1"), ("b", "1")], keys: [key])
    let log = site.root + "/update"
    let first = try await follow("--on-apply", "cat > \(log); echo hello; echo installing a")
    #expect(first.status == 0, "\(first)")
    #expect(first.complaint.contains("hello"))
    // What was still at work when the command ended well is in place; so is what it did not speak of.
    #expect(statuses(first) == ["a installed", "b installed"])
    try await site.publishByHand(version: "2", documents: [("a", "2"), ("c", "1")], keys: [key])
    let second = try await follow(
      "--on-apply",
      #"cat > \#(log); echo '{"document":"a","state":"failed","error":{"code":"E1","message":"no"}}'; echo removed b"#)
    #expect(second.status == 0, "\(second)")
    #expect(statuses(second) == ["a failed", "b removed", "c installed"])
    let input = try JSONDecoder().decode(Input.self, from: Data(try site.read("update").utf8))
    #expect(input.device == "press-42" && input.version == 2 && input.current == site.current)
    #expect(input.documents.map(\.id) == ["a", "c"] && input.added.map(\.id) == ["c"])
    #expect(input.modified.map(\.id) == ["a"] && input.removed.map(\.id) == ["b"])
    #expect(try String(contentsOfFile: input.removed[0].path, encoding: .utf8) == "1")
  }

  @Test("A command that fails, ends by a signal, or takes too long has not applied the state; it is called again")
  func failing() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    for (command, reason) in [
      ("exit 3", "the apply command ended with status 3"), ("sleep 1000", "did not end within"),
      ("kill -KILL $$", "the apply command"),
    ] {
      let run = try await follow("--on-apply", command, "--on-apply-timeout", "1s")
      #expect(run.status == 1 && run.output.contains(reason), "\(run)")
      #expect(statuses(run).contains("press.yaml failed"))
      #expect(try await site.status().applied == nil)
      // An apply that failed is left alone for a while; an operator may say that it need not be.
      _ = try await Tool.run(Tool.desiredState, ["reset", "--store", site.store, "--refusals"])
    }
    #expect(try await follow("--on-apply", "true").status == 0)
    #expect(try await site.status().applied?.version == 1)
  }

  @Test("What a command started ends with it, and cannot hold it up", arguments: ["", "trap '' TERM; "])
  func children(_ stubborn: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let file = site.root + "/child"
    let run = try await follow("--on-apply", "(\(stubborn)echo $$ >/dev/null; exec sleep 1000) & echo $! > \(file)")
    #expect(run.status == 0, "\(run)")
    let child = try site.read("child").trimmingCharacters(in: .whitespacesAndNewlines)
    let state = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)
    // Gone, or dead and not yet waited for by its foster parent.
    #expect(state == nil || state!.contains(") Z "), "\(state!)")
  }

  @Test("A command need not read a large update") func unread() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let long = String(repeating: "n", count: 150)
    try await site.publishByHand(documents: (0..<150).map { ("\(long)\($0)", "1") }, keys: [key])
    #expect(try await follow("--on-apply", "true").status == 0)
  }

  @Test("The event command reads each event, in order") func events() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let run = try await follow("--on-event", "cat >> \(site.root)/events")
    #expect(run.status == 0, "\(run)")
    #expect(try site.read("events") == run.output)
    let failing = try await follow("--on-event", "exit 7")
    #expect(failing.status == 0 && failing.complaint.contains("the event command ended with status 7"), "\(failing)")
  }

  @Test("A state that does not prove itself gives way to the one before") func trial() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    #expect(try await follow().status == 0)
    try await site.publishByHand(version: "2", documents: [("a", "bad")], keys: [key])
    let run = try await follow("--trial", "10s", "--check", "grep -qv bad \(site.current)/a")
    #expect(run.output.contains("rolled-back"), "\(run)")
    #expect(try await site.status().adopted?.version == 1)
    #expect(try await follow().status == 0)
    #expect(try site.files(below: site.current) == ["a": "1"])
  }
}
