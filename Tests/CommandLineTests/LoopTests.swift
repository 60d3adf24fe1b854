import Foundation
import Subprocess
import Testing

/// A `follow` that goes on, and the lines it prints.
final class Follower: Sendable {
  private let process: Process
  private let pipe = Pipe()

  init(_ arguments: [String]) throws {
    process = Process()
    process.executableURL = URL(fileURLWithPath: Tool.desiredState)
    process.arguments = ["follow", "--json"] + arguments
    process.standardOutput = pipe
    try process.run()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// The next event of a name; those before it are passed over. Nil if the program ends first.
  func next(_ name: String) async -> Event? { await next { $0 == name } }

  /// Waits for an event of each name, in whatever order they come. False if the program ends first.
  func all(of names: Set<String>) async -> Bool {
    var missing = names
    while !missing.isEmpty {
      guard let event = await next(where: { [missing] in missing.contains($0) }) else { return false }
      missing.remove(event.event)
    }
    return true
  }

  private func next(where isWanted: @escaping @Sendable (String) -> Bool) async -> Event? {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { [handle = pipe.fileHandleForReading] in
        var line: [UInt8] = []
        while let byte = try? handle.read(upToCount: 1)?.first {
          guard byte == UInt8(ascii: "\n") else {
            line.append(byte)
            continue
          }
          if let event = Event(line: String(decoding: line, as: UTF8.self)), isWanted(event.event) {
            return continuation.resume(returning: event)
          }
          line = []
        }
        continuation.resume(returning: nil)
      }
    }
  }

  /// SIGHUP: read every file again, and look now.
  func hangUp() { kill(process.processIdentifier, SIGHUP) }

  func end(by signal: Int32) async -> Int32 {
    kill(process.processIdentifier, signal)
    return await withCheckedContinuation { continuation in
      DispatchQueue.global().async { [process] in
        process.waitUntilExit()
        continuation.resume(
          returning: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
      }
    }
  }
}

@Suite("follow: the loop", .timeLimit(.minutes(2)))
struct LoopTests {
  let site = try! Site()

  private func arguments(_ more: String...) -> [String] {
    [site.drop, "--store", site.store, "--into", site.into, "--trust", site.trust, "--device", "press-42"] + more
  }

  @Test("Publications are seen at once, long before the next poll, from an empty directory on") func hints()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("1", to: "documents/a")
    try FileManager.default.createDirectory(atPath: site.drop, withIntermediateDirectories: true)
    let follower = try Follower(arguments("--interval", "1h"))
    #expect(await follower.next("absent") != nil)
    for version in 1...3 as ClosedRange<UInt64> {
      try site.write("\(version)", to: "documents/a")
      try await site.publish(keys: [key])
      #expect(await follower.next("applied")?.version == version)
      #expect(try site.files(below: site.current) == ["a": "\(version)"])
    }
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("A source that comes back, or is replaced as a whole, is followed on", arguments: ["absent", "replaced"])
  func comesBack(_ how: String) async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let follower = try Follower(arguments("--interval", "200ms"))
    #expect(await follower.next("applied") != nil)
    try FileManager.default.moveItem(atPath: site.drop, toPath: site.root + "/away")
    if how == "absent" {
      #expect(await follower.next("unavailable")?.code == "unreachable")
    }
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
    #expect(await follower.next("applied")?.version == 2)
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("SIGTERM and Ctrl-C end the loop with status 0", arguments: [SIGTERM, SIGINT]) func signals(_ signal: Int32)
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let follower = try Follower(arguments())
    #expect(await follower.all(of: ["acknowledged", "applied"]))
    #expect(await follower.end(by: signal) == 0)
    // An acknowledgement may have been on its way when the loop was ended.
    #expect(try await site.follow().names.filter { $0 != "acknowledged" } == ["unchanged"])
  }

  @Test("A refused state is read once, and reported once, however often it is looked at") func refusedOnce()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "good")], keys: [key])
    let document = site.drop + "/documents/sha256-" + (try await site.sha256("good"))
    try site.write("evil", to: document)
    let follower = try Follower(arguments("--interval", "50ms"))
    #expect(await follower.next("rejected")?.code == "digest-mismatch")
    try site.write("good", to: document)
    #expect(await follower.next("applied") != nil)
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("acknowledge works beside a running follow") func acknowledgeBeside() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let follower = try Follower(arguments("--interval", "100ms"))
    #expect(await follower.next("acknowledged") != nil)
    let run = try await Tool.run(
      Tool.desiredState,
      [
        "acknowledge", site.drop, "--store", site.store, "--device", "press-42", "--document", "press.yaml", "--state",
        "installed",
      ])
    #expect(run.status == 0)
    #expect(try site.read(site.drop + "/acknowledgements/press-42/documents/press.yaml.json").contains("installed"))
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("A poll that finds nothing new opens no document, and neither the store's nor the tree's") func opensNothing()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: (0..<20).map { ("d\($0)", "text \($0)") }, keys: [key])
    #expect(try await site.follow().status == 0)
    let trace = site.root + "/trace"
    let run = try await Tool.run(
      "strace",
      ["-f", "-o", trace, "-e", "trace=open,openat,openat2", Tool.desiredState, "follow"] + arguments("--once"))
    #expect(run.status == 0)
    let opened = try site.read(trace)
    #expect(opened.contains("manifest.json"))
    for place in ["documents/", "signatures/"] { #expect(!opened.contains(place)) }
    // The manifest that was adopted, and the names that stand in its place, are looked at: nothing more.
    let manifest = try await site.sha256(try site.read(site.drop + "/manifest.json"))
    for line in opened.split(separator: "\n") where line.contains("sha256-") {
      #expect(line.contains("sha256-\(manifest)\"") || line.contains("sha256-\(manifest)/\""), "\(line)")
    }
  }

  @Test("Without --json a loop tells what changes, and not each poll", .timeLimit(.minutes(5)))
  func terse() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow().status == 0)
    for (state, isThere) in [("unchanged", true), ("absent", false)] {
      if !isThere { try site.remove(site.drop + "/manifest.json") }
      let follow = [
        "follow", site.drop, "--store", site.store, "--into", site.into, "--trust", site.trust, "--device", "press-42",
        "--interval", "100ms", "--start-spread", "10ms",
      ]
      let every = try await Tool.run("timeout", ["--signal=TERM", "4", Tool.desiredState] + follow + ["--json"])
      let changes = try await Tool.run("timeout", ["--signal=TERM", "4", Tool.desiredState] + follow)
      #expect(every.names.count { $0 == state } > 1, "\(every)")
      #expect(changes.output.split(separator: "\n").count { $0.hasPrefix(state) } == 1, "\(changes)")
    }
  }
}
