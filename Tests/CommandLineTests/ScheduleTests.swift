import Foundation
import Testing

/// When `follow` looks and applies, as an operator says it.
@Suite("follow: the schedule", .timeLimit(.minutes(3)))
struct ScheduleTests {
  let site = try! Site()

  /// Half an hour of the day, as the clock of a zone shows it so many hours from now.
  private func hours(in hours: Int) -> String {
    let hour = (Int(Date().timeIntervalSince1970) / 3600 + hours + 48) % 24
    func text(_ hour: Int) -> String { (hour < 10 ? "0" : "") + "\(hour):00" }
    // Two hours before and after: the test may run while the hour changes.
    return "\(text((hour + 22) % 24))-\(text((hour + 2) % 24))"
  }

  private func run(_ arguments: String...) async throws -> Finished {
    try await Tool.run(Tool.desiredState, [arguments[0], "--store", site.store] + arguments.dropFirst())
  }

  @Test("Outside --hours, and in a --downtime, nothing is contacted and nothing is said; else all is as always")
  func hours() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let trust = ["--trust", site.trust, "--time-zone", "UTC0"]
    for closed in [["--hours", hours(in: 12)], ["--downtime", hours(in: 0)]] {
      let run = try await site.follow(trust: trust + closed)
      #expect(run.status == 0 && run.events.isEmpty, "\(closed): \(run)")
      #expect(try await site.status().adopted == nil)
    }
    // The same hours are others elsewhere.
    let elsewhere = try await site.follow(
      trust: ["--trust", site.trust, "--time-zone", "XXX-12", "--hours", hours(in: 12)])
    #expect(elsewhere.names.contains("applied"), "\(elsewhere)")
    let open = try await site.follow(trust: trust + ["--hours", hours(in: 0), "--downtime", hours(in: 12)])
    #expect(open.names == ["unchanged"], "\(open)")
  }

  @Test("--apply-hours: adopted at any time, applied when it may be; status says what it waits for") func applyHours()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    let trust = ["--trust", site.trust, "--time-zone", "UTC0"]
    let early = try await site.follow(trust: trust + ["--apply-hours", hours(in: 12)])
    #expect(early.status == 0 && early.names.contains("adopted") && !early.names.contains("applied"), "\(early)")
    #expect(early.events.first { $0.event == "held" }?.code == "apply-hours")
    #expect(!site.exists(site.current))
    #expect(try await run("status").output.contains("version 1 is adopted and not applied yet"))
    let late = try await site.follow(trust: trust + ["--apply-hours", hours(in: 0)])
    #expect(late.status == 0 && late.names.contains("applied"), "\(late)")
  }

  @Test("--hold: a state waits for 'approve', each new one anew, and a running follow hears it at once") func hold()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    let held = try await site.follow(trust: ["--trust", site.trust, "--hold"])
    #expect(held.status == 0 && held.events.first { $0.event == "held" }?.code == "approval", "\(held)")
    #expect(!site.exists(site.current))
    let approved = try await run("approve", "--json")
    #expect(approved.status == 0 && approved.output.contains("\"done\""), "\(approved)")
    #expect(try await site.follow(trust: ["--trust", site.trust, "--hold"]).names.contains("applied"))
    #expect(try site.files(below: site.current) == ["a": "1"])
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
    let follower = try Follower([
      site.drop, "--store", site.store, "--into", site.into, "--trust", site.trust, "--device", "press-42", "--hold",
      "--interval", "1h",
    ])
    #expect(await follower.next("held")?.version == 2)
    #expect(try site.files(below: site.current) == ["a": "1"])
    #expect(try await run("approve", "--json").output.contains("\"requested\""))
    #expect(await follower.next("applied")?.version == 2)
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("rollback and resume are heard at once by a running follow as well") func beside() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    for version in 1...2 {
      try await site.publishByHand(version: "\(version)", documents: [("a", "\(version)")], keys: [key])
      #expect(try await site.follow().status == 0)
    }
    let follower = try Follower([
      site.drop, "--store", site.store, "--into", site.into, "--trust", site.trust, "--device", "press-42",
      "--interval", "1h", "--start-spread", "10ms", "--jitter", "0.5",
    ])
    #expect(await follower.next("unchanged") != nil)
    #expect(try await run("rollback", "--to", "1").status == 0)
    #expect(await follower.next("applied")?.version == 1)
    #expect(try await run("resume").status == 0)
    #expect(await follower.next("applied")?.version == 2)
    #expect(try site.files(below: site.current) == ["a": "2"])
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("--prefer newest: a mirror that is behind masks nothing; first: the order decides") func prefer() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "1")], keys: [key])
    try await Tool.succeed("cp", ["-a", site.drop, site.root + "/mirror"])
    try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
    let mirror = site.root + "/mirror"
    let first = try await site.follow(mirror, trust: [site.drop, "--trust", site.trust, "--prefer", "first"])
    #expect(first.events.first { $0.event == "applied" }?.version == 1, "\(first)")
    let newest = try await site.follow(mirror, trust: [site.drop, "--trust", site.trust, "--prefer", "newest"])
    #expect(newest.status == 0 && newest.events.first { $0.event == "applied" }?.version == 2, "\(newest)")
  }

  @Test("A state that fails its --check gives way to the one before, is told of, and is not tried again") func trial()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let trial = [
      "--trust", site.trust, "--trial", "200ms", "--check",
      "echo $DESIRED_STATE_VERSION >> '\(site.root)/checked'; grep -q good '\(site.current)/a'",
    ]
    try await site.publishByHand(documents: [("a", "good 1")], keys: [key])
    let good = try await site.follow(trust: trial)
    #expect(good.status == 0 && good.names.contains("proven"), "\(good)")
    try await site.publishByHand(version: "2", documents: [("a", "bad"), ("b", "2")], keys: [key])
    let bad = try await site.follow(trust: trial)
    #expect(bad.status == 1 && bad.names.contains("rolled-back"), "\(bad)")
    #expect(try site.files(below: site.current) == ["a": "good 1"])
    #expect(try site.read(site.drop + "/acknowledgements/press-42/state.json").contains("trial-failed"))
    #expect(try await run("status").output.contains("rolled back from version 2 to version 1"))
    #expect(try await run("history", "--json").output.contains("\"outcome\":\"failed\""))
    let again = try await site.follow(trust: trial)
    #expect(again.status == 0 && !again.names.contains("applied"), "\(again)")
    try await site.publishByHand(version: "3", documents: [("a", "good 3")], keys: [key])
    #expect(try await site.follow(trust: trial).names.contains("proven"))
    #expect(try site.read("checked").split(separator: "\n").contains("3"))
  }

  @Test(
    "Schedules that cannot be meant are refused with a reason, status 64",
    arguments: [
      (["--interval", "0s"], "--interval"), (["--jitter", "2"], "--jitter"), (["--hours", "25:00-26:00"], "--hours"),
      (["--downtime", "noon"], "--downtime"), (["--apply-hours", "Foo 01:00-02:00"], "--apply-hours"),
      (["--hours", "01:00-02:00", "--time-zone", "Nowhere/City"], "--time-zone"),
      (["--time-zone", "UTC0"], "--time-zone goes with"), (["--prefer", "oldest"], "--prefer"),
      (["--trial", "1s"], "--trial and --check"), (["--keep", "0"], "--keep"),
      (["--start-spread", "x"], "start-spread"),
    ])
  func nonsense(_ options: [String], _ word: String) async throws {
    let run = try await site.follow(trust: ["--accept-unsigned"] + options)
    #expect(run.status == 64 && run.complaint.contains(word), "\(run)")
    #expect(!site.exists(site.store))
  }

  @Test("status says that the clock cannot be right, in words and in JSON") func clock() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(keys: [key])
    #expect(try await site.follow().status == 0)
    func status(_ more: String...) async throws -> String {
      try await Tool.run(
        "faketime", ["1990-01-01 00:00:00", Tool.desiredState, "status", "--store", site.store] + more
      ).output
    }
    #expect(try await status().contains("clock implausible: it is 1990-01-01"))
    #expect(try await status("--json").contains("\"isPlausible\":false"))
    #expect(try await run("status", "--json").output.contains("\"isPlausible\":true"))
    #expect(try await run("status").output.contains("implausible") == false)
  }
}
