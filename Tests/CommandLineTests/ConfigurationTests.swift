import Foundation
import Testing

@Suite("Files of settings")
struct ConfigurationTests {
  let site = try! Site()
  private var file: String { site.root + "/press.conf" }

  private func check(_ text: String, _ more: String...) async throws -> Finished {
    try site.write(text, to: file)
    return try await Tool.run(Tool.desiredState, ["check", "--config", file] + more)
  }

  private var good: String {
    """
    # What press 42 runs.
    source = \(site.drop)
    store = \(site.store)
      into=\(site.into)
    ; quotes around a value do not count
    trust = "\(site.trust)"
    device = press-42
    interval = 5m
    once
    json = yes
    """
  }

  @Test("follow does what a file says, and what the command line says counts before it") func follow() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(extensions: "\"device\": \"press-42\"", keys: [key])
    let checked = try await check(good)
    #expect(checked.status == 0 && checked.output.contains("is good"), "\(checked)")
    #expect(!site.exists(site.store), "check writes nothing")
    let run = try await Tool.run(Tool.desiredState, ["follow", "--config", file])
    #expect(run.status == 0 && run.names.contains("applied"), "\(run)")
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n"])
    let other = try await Tool.run(
      Tool.desiredState,
      [
        "follow", "--config=\(file)", "--device", "press-43", "--store", site.root + "/other", "--into",
        site.root + "/o2",
      ])
    #expect(other.status == 3 && other.events.last { $0.code != nil }?.code == "wrong-device", "\(other)")
    let elsewhere = try await Tool.run(Tool.desiredState, ["follow", site.root + "/elsewhere", "--config", file])
    #expect(elsewhere.status == 4 && !elsewhere.output.contains(site.drop), "\(elsewhere)")
  }

  @Test("Every fault is told with its line, and follow begins nothing") func faults() async throws {
    let text = """
      [main]
      source = \(site.drop)
      stroe = /x
      store = \(site.store)
      interval = 5 parsecs
      jitter = 7
      trust = \(site.root)/nowhere
      keep = 3
      keep = 4
      hold = maybe
      on-apply =
      tls-ca = \(site.root)/press.conf
      on-event = if true
      config = other.conf
      """
    let run = try await check(text)
    #expect(run.status == 64)
    for (line, words) in [
      (1, "no sections"), (3, "is it 'store'?"), (5, "5 parsecs"), (6, "from 0 to 1"), (7, "nowhere"), (9, "line 8"),
      (10, "maybe"), (11, "needs a value"), (12, "PEM"), (13, "shell"), (14, "names no other"),
    ] {
      let told = run.output.split(separator: "\n").filter { $0.hasPrefix("\(file):\(line): ") }
      #expect(told.count == 1 && told[0].contains(words), "line \(line) of \(run.output)")
    }
    #expect(run.output.split(separator: "\n").count == 11, "\(run.output)")
    let follow = try await Tool.run(Tool.desiredState, ["follow", "--config", file, "--once"])
    #expect(follow.status == 64 && follow.complaint.contains("\(file):5: "), "\(follow)")
    #expect(!site.exists(site.store))
  }

  @Test(
    "What is missing, contradicts itself or is of no use is told",
    arguments: [
      ("store = s\ntrust-channel", "'source'"), ("source = d\ntrust-channel", "'store'"),
      ("source = d\nstore = s", "choose what to trust"),
      ("source = d\nstore = s\ntrust-channel\nthreshold = 2", ":4: "),
      ("source = ftp://x\nstore = s\ntrust-channel", ":1: "),
      ("source = d\nstore = s\ntrust-channel\nrequest-key = press.conf\n-----BEGIN = x", ":5: "),
      ("source = d\nstore = s\ntrust-channel\nproxy = http://a:1", ":4: proxy is of no use"),
      ("source = d\nstore = s\ntrust-channel\nhours = 1-2", ":4: "),
      ("source = d\nstore = /dev/null/s\ntrust-channel", ":2: "),
    ]) func other(_ text: String, _ words: String) async throws
  {
    let run = try await check(text)
    #expect(run.status == 64 && run.output.contains(words), "\(run)")
  }

  @Test("Programs read the faults as JSON; a file that is not there is one") func json() async throws {
    struct Report: Decodable {
      struct Problem: Decodable {
        var line: Int?
        var setting: String?
        var message: String
      }
      var ok: Bool
      var problems: [Problem]
    }
    func report(_ run: Finished) throws -> Report { try JSONDecoder().decode(Report.self, from: Data(run.output.utf8)) }
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try report(try await check(good, "--json")).ok)
    let bad = try report(try await check(good + "\nmax-age = x\r\n", "--json"))
    #expect(!bad.ok && bad.problems.map(\.line) == [11] && bad.problems[0].setting == "max-age")
    let missing = try await Tool.run(Tool.desiredState, ["check", "--config", site.root + "/none", "--json"])
    #expect(missing.status == 64)
    #expect(try report(missing).problems.first?.message.contains("No such file") == true)
  }

  @Test("Every option of follow can be set in a file") func everyOption() async throws {
    let help = try await Tool.succeed(Tool.desiredState, ["follow", "--help"])
    let names = Set(help.matches(of: /--([a-z][a-z0-9-]*(?:\.[0-9]+)?)/).map { String($0.1) })
    let options = names.subtracting(["help", "version", "config"])
    #expect(options.count > 40)
    let run = try await check(options.sorted().map { "\($0) = \u{1}" }.joined(separator: "\n"), "--json")
    #expect(!run.output.contains("there is no setting \\\""), "\(run.output)")
  }
}
