import Foundation
import Testing

/// A signer of the adopted state that is revoked later, in each way that there is, while no source can be reached.
@Suite("A signer of the adopted state who does not count any more is named", .timeLimit(.minutes(5)))
struct RevocationTests {
  private let site = try! Site()

  private struct Report: Decodable {
    struct Signer: Decodable {
      var principals: [String]
      var key: String
      var reason: String
    }
    struct Trust: Decodable { var revokedSigners: [Signer] }
    var trust: Trust
    var adopted: Status.State?
  }

  private func report() async throws -> Report {
    let text = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store, "--json"])
    return try JSONDecoder().decode(Report.self, from: Data(text.utf8))
  }

  private var revoked: String { site.root + "/revoked" }

  /// Looks again, with no source to be reached: what is said comes from the store and the files of keys alone.
  private func reasons(_ signers: String, withList: Bool = true) async throws -> [String] {
    let signerFile = site.root + "/signers-now"
    try site.write(signers, to: signerFile)
    let run = try await site.follow(
      site.root + "/gone", trust: ["--trust", signerFile] + (withList ? ["--revoked", revoked] : []))
    #expect(run.status == 4, "\(run)")
    let report = try await report()
    #expect(report.adopted?.version == 1)
    return report.trust.revokedSigners.map(\.reason)
  }

  /// A list of revoked keys as `ssh-keygen -k` makes it.
  private func list(_ specification: String, authority: String? = nil) async throws {
    try? site.remove(revoked)
    try site.write(specification, to: "specification")
    try await Tool.succeed(
      "ssh-keygen",
      ["-q", "-k", "-f", revoked] + (authority.map { ["-s", $0 + ".pub"] } ?? []) + [site.root + "/specification"])
  }

  private func publish(key: String) async throws {
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    let run = try await site.follow()
    #expect(run.status == 0, "\(run)")
    #expect(try await report().trust.revokedSigners.isEmpty)
  }

  private func fingerprint(_ key: String, _ hash: String = "sha256") async throws -> String {
    String(try await Tool.succeed("ssh-keygen", ["-l", "-E", hash, "-f", key + ".pub"]).split(separator: " ")[1])
  }

  @Test("A plain key: listed itself, by a digest of either kind, and taken from the allowed signers") func plainKey()
    async throws
  {
    let key = try await site.makeKey("release", trustedAs: "ops", options: "namespaces=\"desired-state\"")
    let other = try await site.makeKey("other")
    try await publish(key: key)
    let signers = try site.read(site.trust)
    let line = try site.read(key + ".pub")
    let otherLine = try site.read(other + ".pub")

    try site.write(line, to: revoked)
    #expect(try await reasons(signers) == ["is revoked"])
    try site.write("# given back\n" + otherLine, to: revoked)
    #expect(try await reasons(signers).isEmpty)
    for specification in [
      line, "key: " + line, "sha1: " + line, "sha256: " + line, "hash: \(try await fingerprint(key))\n",
    ] {
      try await list(specification)
      #expect(try await reasons(signers) == ["is revoked"], "\(specification)")
      try await list(otherLine)
      #expect(try await reasons(signers).isEmpty)
    }
    #expect(
      try await Tool.run(Tool.desiredState, ["status", "--store", site.store]).output.contains("revoked") == false)

    // Changed allowed signers. What began or ended by the clock alone since then is no revocation.
    let bare = line.split(separator: " ").prefix(2).joined(separator: " ")
    for (signers, word) in [
      ("ops namespaces=\"desired-state\" \(otherLine)", "is not listed"),
      ("ops namespaces=\"git\" \(bare)\n", "namespace"), ("ops cert-authority \(bare)\n", "authority only"),
      ("ops valid-before=\"20200101\" \(bare)\n", "only up to"),
    ] {
      let found = try await reasons(signers, withList: false)
      #expect(found.count == 1 && found[0].contains(word), "\(signers): \(found)")
    }
    for signers in [
      "ops \(bare)\n", "ops valid-before=\"29990101\" \(bare)\n", "ops valid-after=\"29990101\" \(bare)\n",
    ] {
      #expect(try await reasons(signers, withList: false).isEmpty, "\(signers)")
    }
    let text = try await Tool.run(Tool.desiredState, ["status", "--store", site.store])
    #expect(text.status == 0)
  }

  @Test("A certificate: by its number, a range, a bitmap, its name, its key, its authority, and its authority's line")
  func certificate() async throws {
    let authority = try await site.makeKey("ca")
    let other = try await site.makeKey("other-ca")
    let key = try await site.makeKey("release")
    try await Tool.succeed(
      "ssh-keygen", ["-q", "-s", authority, "-I", "release-1", "-n", "ops", "-z", "7", "-V", "-1h:+1h", key + ".pub"])
    let bare = try site.read(authority + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
    let signers = "ops cert-authority,namespaces=\"desired-state\" \(bare)\n"
    try site.write(signers, to: site.trust)
    try await publish(key: key + "-cert.pub")

    for (specification, by) in [
      ("serial: 7", authority), ("serial: 5-9", authority), ("serial: 1\nserial: 3\nserial: 7\nserial: 11", authority),
      ("id: release-1", authority),
    ] {
      try await list(specification + "\n", authority: by)
      #expect(try await reasons(signers) == ["came with a certificate that is revoked"], "\(specification)")
      try await list(specification + "\n", authority: other)
      #expect(try await reasons(signers).isEmpty, "\(specification), of another authority")
    }
    for specification in ["serial: 8", "serial: 8-20", "id: release-2"] {
      try await list(specification + "\n", authority: authority)
      #expect(try await reasons(signers).isEmpty, "\(specification)")
    }
    // The list of plain lines, the certificate as a line, the key in it, the authority.
    for (line, reason) in [
      (try site.read(key + "-cert.pub"), "is revoked"), (try site.read(key + ".pub"), "is revoked"),
      (try site.read(authority + ".pub"), "came with a certificate whose authority is revoked"),
    ] {
      try site.write(line, to: revoked)
      #expect(try await reasons(signers) == [reason])
      try await list(line)
      #expect(try await reasons(signers).count == 1, "\(line)")
    }
    let otherBare = try site.read(other + ".pub").split(separator: " ").prefix(2).joined(separator: " ")
    for (signers, word) in [
      ("ops cert-authority \(otherBare)\n", "authority is not listed"),
      ("dev cert-authority \(bare)\n", "no principal"), ("ops \(bare)\n", "authority is not listed"),
      ("ops cert-authority,namespaces=\"git\" \(bare)\n", "namespace"),
    ] {
      let found = try await reasons(signers, withList: false)
      #expect(found.count == 1 && found[0].contains(word), "\(signers): \(found)")
    }
    let text = try await Tool.run(Tool.desiredState, ["status", "--store", site.store])
    #expect(text.output.contains("do not count any more") && text.output.contains("namespace"), "\(text.output)")
  }
}
