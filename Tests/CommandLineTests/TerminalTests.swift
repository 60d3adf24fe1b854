import Foundation
import TestSupport
import Testing

@Suite("On a terminal", .timeLimit(.minutes(5)))
struct TerminalTests {
  let site = try! Site()

  /// Runs the program on a terminal of its own (script(1)), and returns all that it wrote there.
  private func onTerminal(_ arguments: String, _ variables: String = "") async throws -> String {
    try await Tool.run(
      "script", ["-qefc", "\(variables) \(Tool.desiredState) \(arguments)", "/dev/null"],
      environment: ["TERM": "xterm", "NO_COLOR": nil]
    ).output
  }

  @Test("Events have colours on a terminal, and not in a pipe or where they are not wanted") func colours() async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let verify = "verify \(site.drop) --trust \(site.trust)"
    #expect(try await onTerminal(verify).contains("\u{1b}[32mverified\u{1b}[0m"))
    #expect(try await !onTerminal(verify, "NO_COLOR=1").contains("\u{1b}[3"))
    #expect(try await !onTerminal(verify, "TERM=dumb").contains("\u{1b}["))
    #expect(try await onTerminal("\(verify) --max-age 1s").contains("\u{1b}[31mrejected"))
    let piped = try await Tool.run(Tool.desiredState, verify.split(separator: " ").map(String.init))
    #expect(piped.output.contains("verified") && !piped.output.contains("\u{1b}"))
  }

  @Test("A single poll shows how far it is with documents") func progressOfLook() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let large = site.documents + "/large"
    try site.write("", to: large)
    try #require(truncate(large, 1 << 30) == 0)
    try await site.publish(keys: [key])
    let follow = "follow \(site.drop) --trust \(site.trust) --store \(site.root)"
    let once = try await onTerminal(follow + "/once --once", "NO_COLOR=1")
    #expect(
      once.contains("fetching ") && once.contains(" of 1.0 GiB (") && once.contains(" left"), "\(once.suffix(300))")
    #expect(once.contains("\r\u{1b}[Kadopted"), "the line is gone before the next is written: \(once.suffix(300))")
  }

  @Test("Long work shows its rate and what is left, on a terminal alone; Ctrl-C says what stands") func progress()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let large = site.documents + "/large"
    try site.write("", to: large)
    // Long enough to be seen on any machine: the program is stopped half-way.
    try #require(truncate(large, 3 << 30) == 0)
    let output = site.root + "/terminal"
    let command =
      "echo $$ > \(site.root)/pid; exec \(Tool.desiredState) publish \(site.documents) --to \(site.drop) --key \(key)"
    let run = Task {
      try await Tool.run(
        "script", ["-qefc", command, output], environment: ["TERM": "xterm", "NO_COLOR": nil])
    }
    func text() -> String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }
    try await until("a line of progress") { text().contains("iB/s, ") && text().contains(" left") }
    #expect(text().contains("publishing ") && text().contains("\r\u{1b}[K"))
    let process = try #require(pid_t(try site.read("pid").trimmingCharacters(in: .whitespacesAndNewlines)))
    kill(process, SIGINT)
    let finished = try await run.value
    #expect(finished.status == 1 && text().contains("what was published before stands"), "\(text().suffix(300))")
    #expect(!site.exists(site.drop + "/manifest.json"))
    #expect(try site.files(below: site.drop).isEmpty)
  }
}
