import Foundation
import Testing

/// The whole ceremony with the program and ssh-keygen, as the article on keys has it.
@Suite("Trust that changes while devices run")
struct TrustTests {
  private let site: Site

  init() throws { site = try Site() }

  private func publicKey(_ key: String) throws -> String {
    try site.read(key + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
  }

  private func signers(_ name: String, root: String, release: String) throws -> String {
    try site.write(
      "root namespaces=\"desired-state-trust\" \(try publicKey(root))\n"
        + "release namespaces=\"desired-state\" \(try publicKey(release))\n", to: name)
    return site.root + "/" + name
  }

  private func publishTrust(_ signers: String, _ keys: String...) async throws {
    try await Tool.succeed(
      Tool.desiredState,
      ["trust", "publish", "--to", site.drop, "--signers", signers] + keys.flatMap { ["--key", $0] })
  }

  private func publish(_ key: String, _ text: String) async throws {
    try site.write(text, to: site.documents + "/press.yaml")
    try await Tool.succeed(Tool.desiredState, ["publish", site.documents, "--to", site.drop, "--key", key])
  }

  @Test("A device that was off for five rotations comes back by a drop on a disk, and by a bundle") func rotations()
    async throws
  {
    var roots: [String] = []
    var releases: [String] = []
    for number in 0...5 {
      roots.append(try await site.makeKey("root-\(number)"))
      releases.append(try await site.makeKey("release-\(number)"))
    }
    let first = try signers("allowed_signers", root: roots[0], release: releases[0])
    try await publish(releases[0], "press: 0\n")
    #expect(try await site.follow(nil, trust: ["--trust", first]).status == 0)
    for number in 1...5 {
      let file = try signers("signers-\(number)", root: roots[number], release: releases[number])
      try await publishTrust(file, roots[number - 1], roots[number])
      try await publish(releases[number], "press: \(number)\n")
    }
    #expect(try site.read(site.drop + "/manifest.json").contains("\"trust\": 5"))
    #expect(try await site.follow(nil, trust: ["--trust", first]).status == 0)
    #expect(try site.read(site.current + "/press.yaml") == "press: 5\n")
    let shown = try await Tool.run(Tool.desiredState, ["trust", "show", "--store", site.store, "--json"])
    #expect(shown.output.contains("\"version\":5"))
    let status = try await Tool.run(Tool.desiredState, ["status", "--store", site.store, "--json"])
    #expect(status.output.contains("\"trust\":{"))
    // The first release key is out of the game, also for a device that begins anew.
    try await publish(releases[0], "press: bad\n")
    let refused = try await site.follow(nil, trust: ["--trust", first])
    #expect(refused.status == 3 && refused.output.contains("signer-untrusted"))
    let bundle = site.root + "/drop.tar.gz"
    try await Tool.succeed(
      Tool.desiredState,
      ["publish", site.documents, "--to", bundle, "--key", releases[5], "--trust-updates", site.drop])
    #expect(try await Tool.run(Tool.desiredState, ["verify", bundle, "--trust", first]).status == 0)
  }

  @Test("An update by a release key is refused, and named") func wrongRole() async throws {
    let (root, release) = (try await site.makeKey("root"), try await site.makeKey("release"))
    let file = try signers("allowed_signers", root: root, release: release)
    try await publishTrust(file, release)
    try await publish(release, "press: 1\n")
    let run = try await site.follow(nil, trust: ["--trust", file])
    #expect(run.status == 3 && run.output.contains("trust-invalid") && run.output.contains("trust update 1"))
  }

  @Test("A revoked key is refused, as a plain key and in a list by ssh-keygen -k") func revoked() async throws {
    let key = try await site.makeKey(trustedAs: "ops", options: "namespaces=\"desired-state\"")
    try await publish(key, "press: 1\n")
    let list = site.root + "/revoked.krl"
    try await Tool.succeed("ssh-keygen", ["-q", "-k", "-f", list, key + ".pub"])
    for file in [key + ".pub", list] {
      let run = try await site.follow(nil, trust: ["--trust", site.trust, "--revoked", file])
      #expect(run.status == 3 && run.output.contains("signer-untrusted") && run.output.contains("revoked"))
    }
    #expect(try await site.follow().status == 0)
    #expect(try await site.follow(nil, trust: ["--trust", site.trust, "--revoked", list]).status == 3)
    let status = try await Tool.run(Tool.desiredState, ["status", "--store", site.store])
    #expect(status.output.contains("revoked"))
    #expect(try site.read(site.current + "/press.yaml") == "press: 1\n")
  }

  @Test("What the device demands is refused with its code") func demands() async throws {
    let key = try await site.makeKey(trustedAs: "ops", options: "namespaces=\"desired-state\"")
    try await publish(key, "press: 1\n")
    for (options, code) in [
      (["--require-expiry"], "expired"), (["--require-device"], "device-missing"),
      (["--content", "plain"], "wrong-content"),
    ] {
      let run = try await site.follow(nil, trust: ["--trust", site.trust] + options)
      #expect(run.status == 3 && run.output.contains("\"code\":\"\(code)\""), "\(options)")
    }
    let allowed = ["--trust", site.trust, "--content", "drop", "--max-age", "1d"]
    #expect(try await site.follow(nil, trust: allowed).status == 0)
  }

  @Test("'publish' warns of exactly what a device that demands an expiry or its name then refuses") func warnings()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops", options: "namespaces=\"desired-state\"")
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    func published(_ options: String..., to target: String? = nil) async throws -> String {
      let run = try await Tool.run(
        Tool.desiredState, ["publish", site.documents, "--to", target ?? site.drop, "--key", key] + options)
      #expect(run.status == 0, "\(run)")
      return run.complaint
    }
    let demands = ["--trust", site.trust, "--require-expiry", "--require-device"]
    // The first one: nothing is known of what devices demand.
    #expect(try await published().isEmpty)
    #expect(try await published("--expires", "7d", "--device", "press-42").isEmpty)
    #expect(try await site.follow(nil, trust: demands).status == 0)
    let lacking = try await published()
    #expect(lacking.contains("expiry") && lacking.contains("--expires"), "\(lacking)")
    #expect(lacking.contains("press-42") && lacking.contains("--device"), "\(lacking)")
    #expect(try await site.follow(nil, trust: demands).status == 3)
    // The version before says no more than this one: said once.
    #expect(try await published().isEmpty)
    #expect(try await published("--expires", "7d", "--device", "press-42").isEmpty)
    let withoutExpiry = try await published("--device", "press-42")
    #expect(withoutExpiry.contains("--expires") && !withoutExpiry.contains("names device"), "\(withoutExpiry)")
    let refused = try await site.follow(nil, trust: demands)
    #expect(refused.status == 3 && refused.output.contains("\"code\":\"expired\""), "\(refused)")
    #expect(try await published("--expires", "7d", "--device", "press-42").isEmpty)
    #expect(try await site.follow(nil, trust: demands).status == 0)
    // A repository and a bundle warn as well.
    let repository = site.root + "/repository.git"
    try await Tool.succeed("git", ["init", "-q", "--bare", repository])
    for target in ["git+file://\(repository)?ref=main", site.root + "/drop.tar.gz"] {
      #expect(try await published("--expires", "7d", to: target).isEmpty)
      #expect(try await published(to: target).contains("--expires"), "\(target)")
    }
  }
}
