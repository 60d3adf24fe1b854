import Foundation
import Testing

@Suite("follow --once: what is refused, with its code, and the last good state stays")
struct RefusalTests {
  let site = try! Site()

  /// Adopts a first good state, lets `spoil` publish something bad, and expects it refused with a code.
  private func refused(
    _ code: String, version: String = "1", trust: [String]? = nil, key: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ spoil: (_ key: String) async throws -> Void
  ) async throws {
    let trusted = try await site.makeKey("good", trustedAs: "ops")
    try await site.publishByHand(version: version, documents: [("press.yaml", "press: 1\n")], keys: [trusted])
    let first = try await site.follow()
    try #require(first.status == 0, "\(first)", sourceLocation: sourceLocation)
    let good = try await site.status().adopted?.revision
    try await spoil(trusted)
    let run = try await site.follow(nil, trust: trust)
    #expect(run.events.last { $0.event == "rejected" }?.code == code, "\(run)", sourceLocation: sourceLocation)
    #expect(run.status == 3, sourceLocation: sourceLocation)
    #expect(run.events.allSatisfy { !["adopted", "applied"].contains($0.event) }, sourceLocation: sourceLocation)
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n"], sourceLocation: sourceLocation)
    let status = try await site.status()
    #expect(status.adopted?.revision == good, sourceLocation: sourceLocation)
    #expect(status.refused.last?.code == code, sourceLocation: sourceLocation)
    #expect(status.refused.last?.reason.isEmpty == false, sourceLocation: sourceLocation)
    // Refused again the next time, by a process that knows no more than the store does.
    #expect(try await site.follow(nil, trust: trust).status == 3, sourceLocation: sourceLocation)
    let text = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(text.contains("refused   \(code)"), sourceLocation: sourceLocation)
  }

  @Test("Unsigned") func unsigned() async throws {
    try await refused("signature-missing") { _ in
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [])
    }
  }

  @Test("Signed by a key nobody trusts, as ssh-keygen -Y verify refuses it") func wrongKey() async throws {
    try await refused("signer-untrusted") { _ in
      let other = try await site.makeKey("other")
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [other])
      #expect(try await sshKeygenVerifies() == false)
    }
  }

  @Test("Signed in another namespace, as ssh-keygen -Y verify refuses it") func wrongNamespace() async throws {
    try await refused("signature-invalid") { key in
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key], namespace: "git")
      #expect(try await sshKeygenVerifies() == false)
    }
  }

  @Test("Signed by a key that is trusted for another namespace") func otherNamespaceTrusted() async throws {
    try await refused("signer-untrusted") { _ in
      let key = try await site.makeKey("git", trustedAs: "dev", options: "namespaces=\"git\"")
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
      #expect(try await sshKeygenVerifies(as: "dev") == false)
    }
  }

  @Test("Signed by a key whose time is over, as ssh-keygen -Y verify refuses it") func expiredKey() async throws {
    try await refused("signer-untrusted") { _ in
      let key = try await site.makeKey("old", trustedAs: "old", options: "valid-before=\"20200101Z\"")
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key])
      #expect(try await sshKeygenVerifies(as: "old") == false)
    }
  }

  @Test("A threshold of 2 is not met by one key twice") func oneKeyTwice() async throws {
    try await refused("threshold-not-met", trust: ["--trust", site.trust, "--threshold", "2"]) { key in
      try await site.publishByHand(version: "2", documents: [("a", "2")], keys: [key, key])
    }
  }

  @Test("A manifest changed after it was signed") func tamperedManifest() async throws {
    try await refused("signature-invalid") { key in
      let manifest = try await site.manifest(version: "2", documents: [("a", "2")])
      try await site.place(manifest, keys: [key])
      let tampered = manifest.replacingOccurrences(of: ": 2,", with: ": 3,")
      let old = try await site.sha256(manifest)
      let new = try await site.sha256(tampered)
      // The signature under the tampered manifest's name, as who tampers would put it.
      try FileManager.default.moveItem(
        atPath: site.drop + "/signatures/sha256-\(old).sig", toPath: site.drop + "/signatures/sha256-\(new).sig")
      try site.write(tampered, to: site.drop + "/manifest.json")
      #expect(try await sshKeygenVerifies() == false)
    }
  }

  @Test("A manifest changed in place has no signature of its own") func tamperedInPlace() async throws {
    try await refused("signature-missing") { _ in
      try site.write(try site.read(site.drop + "/manifest.json") + " ", to: site.drop + "/manifest.json")
    }
  }

  @Test("A tampered document") func tamperedDocument() async throws {
    try await refused("digest-mismatch") { key in
      try await site.publishByHand(version: "2", documents: [("a", "good")], keys: [key])
      try site.write("evil", to: site.drop + "/documents/sha256-" + (try await site.sha256("good")))
    }
  }

  @Test("A tampered document is not read again until it changes, and adopted once it is right")
  func tamperedDocumentMended() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(documents: [("a", "good")], keys: [key])
    let path = site.drop + "/documents/sha256-" + (try await site.sha256("good"))
    try site.write("evil", to: path)
    #expect(try await site.follow().status == 3)
    let trace = site.root + "/trace"
    let again = try await Tool.run(
      "strace",
      [
        "-f", "-e", "trace=openat", "-o", trace, Tool.desiredState, "follow", site.drop, "--store", site.store,
        "--once",
        "--trust", site.trust,
      ])
    #expect(again.status == 3)
    #expect(try !site.read(trace).contains("documents/sha256-"))
    try site.write("good", to: path)
    #expect(try await site.follow().status == 0)
    #expect(try site.files(below: site.current) == ["a": "good"])
  }

  @Test("A missing document") func missingDocument() async throws {
    try await refused("document-missing") { key in
      try await site.publishByHand(version: "2", documents: [("a", "gone")], keys: [key])
      try site.remove(site.drop + "/documents/sha256-" + (try await site.sha256("gone")))
    }
  }

  @Test("A missing document is adopted when it arrives") func missingDocumentArrives() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let manifest = try await site.manifest(documents: [("a", "late")], placeDocuments: false)
    try await site.place(manifest, keys: [key])
    #expect(try await site.follow().events.last?.code == "document-missing")
    try site.write("late", to: site.drop + "/documents/sha256-" + (try await site.sha256("late")))
    #expect(try await site.follow().status == 0)
    #expect(try await site.status().refused.isEmpty)
  }

  @Test("An older version") func rollback() async throws {
    try await refused("version-rollback", version: "5") { key in
      try await site.publishByHand(version: "4", documents: [("a", "4")], keys: [key])
    }
  }

  @Test("The same version with other content") func equivocation() async throws {
    try await refused("version-equivocation", version: "5") { key in
      try await site.publishByHand(version: "5", documents: [("a", "other")], keys: [key])
    }
  }

  @Test("A manifest whose time is over") func expired() async throws {
    try await refused("expired") { key in
      try await site.publishByHand(
        version: "2", documents: [("a", "2")], extensions: "\"expires\": \"2020-01-01T00:00:00Z\"", keys: [key])
    }
  }

  @Test("An adopted manifest that expires while its source stands still is reported, and kept") func frozen()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let expires = ISO8601DateFormatter().string(from: Date().addingTimeInterval(3600))
    try await site.publishByHand(extensions: "\"expires\": \"\(expires)\"", keys: [key])
    #expect(try await site.follow().status == 0)
    // Time passes in the world, not for the test: faketime moves the process two hours on.
    let late = try await Tool.run(
      "faketime",
      [
        "-f", "+2h", Tool.desiredState, "follow", site.drop, "--store", site.store, "--into", site.into, "--once",
        "--json",
        "--trust", site.trust,
      ])
    #expect(late.events.last?.code == "expired")
    #expect(late.status == 3)
    #expect(try site.files(below: site.current).count == 1)
  }

  @Test("A clock that has fallen back to 1970 does not revive an expired manifest") func flatBattery() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try await site.publishByHand(extensions: "\"issued\": \"2026-06-01T00:00:00Z\"", keys: [key])
    #expect(try await site.follow().status == 0)
    try await site.publishByHand(
      version: "2", documents: [], extensions: "\"expires\": \"2026-05-01T00:00:00Z\"", keys: [key])
    let past = try await Tool.run(
      "faketime",
      [
        "1970-01-02 00:00:00", Tool.desiredState, "follow", site.drop, "--store", site.store, "--once", "--json",
        "--trust", site.trust,
      ])
    #expect(past.events.last?.code == "expired")
  }

  @Test("Another device's manifest") func otherDevice() async throws {
    try await refused("wrong-device") { key in
      try await site.publishByHand(
        version: "2", documents: [("a", "2")], extensions: "\"device\": \"press-43\"", keys: [key])
    }
  }

  @Test("Version 0") func versionZero() async throws {
    try await refused("manifest-malformed") { key in
      try await site.publishByHand(version: "0", documents: [("a", "2")], keys: [key])
    }
  }

  @Test("Version 18446744073709551615 after 1") func versionJump() async throws {
    try await refused("version-jump") { key in
      try await site.publishByHand(version: "18446744073709551615", documents: [("a", "2")], keys: [key])
    }
  }

  @Test(
    "Versions that are no versions", arguments: ["18446744073709551616", "-1", "1.5", "\"2\"", "null", "1e30", "true"])
  func notAVersion(_ version: String) async throws {
    try await refused("manifest-malformed") { key in
      try await site.publishByHand(version: version, documents: [("a", "2")], keys: [key])
    }
  }

  @Test(
    "Document ids that would do harm as file names",
    arguments: [
      "../evil", "/etc/evil", "a/../../evil", "a//b", "a/", "./a", ".", "..", "", "a\u{0}b", "a\nb", "a\u{7f}b",
      "a\\..\\b", String(repeating: "x", count: 256), String(repeating: "x/", count: 600) + "x", "a\u{202e}b",
    ])
  func hostileID(_ id: String) async throws {
    try await refused("unsafe-document-id") { key in
      try await site.publishByHand(version: "2", documents: [(id, "2")], keys: [key])
    }
  }

  @Test(
    "Document ids that are one file to some file system",
    arguments: [
      ["press.yaml", "PRESS.yaml"], ["caf\u{e9}", "cafe\u{301}"], ["a", "a/b"], ["A", "a/b"], ["a/b/c", "a/b"],
    ])
  func twins(_ ids: [String]) async throws {
    try await refused("unsafe-document-id") { key in
      try await site.publishByHand(version: "2", documents: ids.map { ($0, "2") }, keys: [key])
    }
  }

  @Test("One id twice") func duplicateID() async throws {
    try await refused("duplicate-document") { key in
      try await site.publishByHand(version: "2", documents: [("a", "1"), ("a", "2")], keys: [key])
    }
  }

  @Test("A digest that is not SHA-256") func otherDigest() async throws {
    try await refused("unsupported-digest") { key in
      let manifest = try await site.manifest(version: "2", documents: [("a", "2")])
      try await site.place(manifest.replacingOccurrences(of: "\"sha256:", with: "\"sha512:"), keys: [key])
    }
  }

  @Test("100,001 documents") func tooManyDocuments() async throws {
    try await refused("limit-exceeded") { key in
      let hex = try await site.sha256("x")
      let entries = (0...100_000).map { "{\"deploymentId\":\"d\($0)\",\"digest\":\"sha256:\(hex)\"}" }
      try await site.place(
        "{\"manifestVersion\":2,\"bundle\":null,\"deployments\":[\(entries.joined(separator: ","))]}", keys: [key])
    }
  }

  @Test("A manifest of 1 GB of garbage costs neither memory nor time") func hugeManifest() async throws {
    try await refused("limit-exceeded") { _ in
      // Sparse: a gigabyte to its reader.
      try await Tool.succeed("truncate", ["-s", "1G", site.drop + "/manifest.json"])
    }
    let run = try await Tool.run(
      "/usr/bin/time",
      ["-f", "peak %M", Tool.desiredState, "follow", site.drop, "--store", site.store, "--once", "--trust", site.trust])
    let peak = run.complaint.split(separator: "\n").last { $0.hasPrefix("peak ") }.flatMap { Int($0.dropFirst(5)) }
    #expect(try #require(peak) < 64 << 10, "kilobytes")
  }

  @Test(
    "What is no manifest", arguments: ["", "{", "[]", "null", "<html>please log in</html>", "{\"manifestVersion\":2}"])
  func notAManifest(_ text: String) async throws {
    try await refused("manifest-malformed") { key in try await site.place(text, keys: [key]) }
  }

  @Test("What is no signature") func garbageSignature() async throws {
    try await refused("signature-invalid") { _ in
      let manifest = try await site.manifest(version: "2", documents: [("a", "2")])
      try site.write("garbage\n", to: site.drop + "/signatures/sha256-\(try await site.sha256(manifest)).sig")
      try site.write(manifest, to: site.drop + "/manifest.json")
    }
  }

  @Test("A signature with a certificate counts where its authority is listed, and no other key of that line does")
  func certificateAuthority() async throws {
    let authority = try await site.makeKey("authority")
    let key = try await site.makeKey()
    try await Tool.succeed("ssh-keygen", ["-q", "-s", authority, "-I", "id", "-n", "ops", key + ".pub"])
    try site.addTrust(in: authority, principal: "ops", options: "cert-authority,namespaces=\"desired-state\"")
    try await site.publishByHand(keys: [authority])
    let refused = try await site.follow()
    #expect(refused.status == 3)
    #expect(refused.complaint.contains("certificate"))
    try await site.publishByHand(keys: [key + "-cert.pub"])
    #expect(try await site.follow().status == 0)
  }

  @Test("Without a choice of what to trust nothing is followed, and the choices are named") func noTrust() async throws
  {
    let run = try await site.follow(nil, trust: [])
    #expect(run.status == 64)
    for choice in ["--trust", "--trust-channel", "--accept-unsigned"] { #expect(run.complaint.contains(choice)) }
  }

  /// What OpenSSH's own verifier says of the drop.
  private func sshKeygenVerifies(as principal: String = "ops") async throws -> Bool {
    let manifest = try site.read(site.drop + "/manifest.json")
    let signature = site.drop + "/signatures/sha256-\(try await site.sha256(manifest)).sig"
    return try await Tool.run(
      "ssh-keygen",
      ["-Y", "verify", "-f", site.trust, "-I", principal, "-n", "desired-state", "-s", signature], input: manifest
    ).status == 0
  }
}
