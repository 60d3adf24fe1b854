import Foundation
import Testing

@Suite("Files of keys are read again while the program runs", .timeLimit(.minutes(3)))
struct TrustReloadTests {
  private let site = try! Site()

  private func follow(every interval: String) throws -> Follower {
    try site.write("# nobody yet\n", to: "revoked")
    return try Follower([
      site.drop, "--store", site.store, "--into", site.into, "--trust", site.trust, "--revoked",
      site.root + "/revoked", "--device", "press-42", "--interval", interval,
    ])
  }

  private func revoke(_ key: String) throws { try site.write(try site.read(key + ".pub"), to: "revoked") }

  private struct Trust: Decodable {
    struct Key: Decodable { var key: String }
    struct Part: Decodable { var revokedSigners: [Key] }
    var trust: Part
  }

  private func revokedSigners() async throws -> Int {
    let text = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store, "--json"])
    return try JSONDecoder().decode(Trust.self, from: Data(text.utf8)).trust.revokedSigners.count
  }

  @Test("What changes is seen at the next poll: a key that is revoked, one that comes, one that is given back")
  func changed() async throws {
    let key = try await site.makeKey("release-1", trustedAs: "ops")
    let next = try await site.makeKey("release-2")
    try site.write("press: 1\n", to: "documents/press")
    try await site.publish(keys: [key])
    let follower = try follow(every: "200ms")
    #expect(await follower.next("applied")?.version == 1)
    #expect(try await revokedSigners() == 0)
    try revoke(key)
    #expect(await follower.next("rejected")?.code == "signer-untrusted")
    #expect(try await revokedSigners() == 1)
    let status = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(status.contains("revoked"))
    #expect(try site.read(site.current + "/press") == "press: 1\n")
    // Half a file changes nothing; the whole of one does.
    let whole = try site.read(site.trust)
    try site.write(whole + "ops ssh-ed25519 AAAA", to: site.trust)
    try site.write(whole, to: site.trust)
    try site.addTrust(in: next, principal: "ops")
    try site.write("press: 2\n", to: "documents/press")
    try await site.publish(keys: [next])
    #expect(await follower.next("adopted")?.version == 2)
    #expect(await follower.next("applied")?.version == 2)
    #expect(try await revokedSigners() == 0)
    #expect(await follower.end(by: SIGTERM) == 0)
  }

  @Test("SIGHUP reads them now, however long it is to the next poll") func hangUp() async throws {
    let key = try await site.makeKey("release-1", trustedAs: "ops")
    try site.write("press: 1\n", to: "documents/press")
    try await site.publish(keys: [key])
    let follower = try follow(every: "1h")
    #expect(await follower.next("acknowledged")?.version == 1)
    try revoke(key)
    follower.hangUp()
    #expect(await follower.next("rejected")?.code == "signer-untrusted")
    #expect(try await revokedSigners() == 1)
    try site.write("# nobody any more\n", to: "revoked")
    follower.hangUp()
    #expect(await follower.next("verified") != nil)
    #expect(try await revokedSigners() == 0)
    #expect(await follower.end(by: SIGTERM) == 0)
  }
}
