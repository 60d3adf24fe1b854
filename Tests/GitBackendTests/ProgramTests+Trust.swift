import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Trust updates over repositories: beside a drop, and beside a plain tree.
extension ProgramTests {
  /// A root key that never signs states, and two release keys, of which the second takes the place of the first.
  private struct Site {
    let repository: OperatorRepository
    let folder = TemporaryDirectory()

    func key(_ name: String) -> String { repository.keys.folder[name] }

    /// An allowed signers file in which one of the release keys may sign.
    func signers(release: String) throws -> String {
      let path = folder["signers-\(release)"]
      try write(
        "root namespaces=\"desired-state-trust\" \(try repository.keys.publicKey("stranger"))\n"
          + "release namespaces=\"desired-state,git\" \(try repository.keys.publicKey(release))\n", to: path)
      return path
    }
  }

  private func publishTrust(_ address: String, _ site: Site, release: String, _ flags: [String]) async throws {
    let published = try await tool(
      [
        "trust", "publish", "--to", address, "--signers", try site.signers(release: release), "--key",
        site.key("stranger"),
      ] + flags)
    #expect(published.status == 0, "\(published)")
  }

  @Test(arguments: [Way.file, .https, .ssh])
  func `a drop in a repository brings the trust update that its new signer needs`(way: Way) async throws {
    let site = Site(repository: try await OperatorRepository())
    let road = try await way.road(to: site.repository)
    let (folder, flags) = (site.folder, flags(road))
    let first = try site.signers(release: "operator")
    let address = "\(road.address)?ref=main&path=drops/north"
    func publish(_ recipe: String, _ key: String) async throws {
      try write(recipe, to: folder["documents/press"])
      let published = try await tool(
        ["publish", folder["documents"], "--to", address, "--key", site.key(key)] + flags)
      #expect(published.status == 0, "\(published)")
    }
    try await publish("recipe: 1\n", "operator")
    #expect(try await follow(address, folder, first, flags).status == 0)
    try await publishTrust(address, site, release: "second", flags)
    try await publish("recipe: 2\n", "second")
    // A device that runs, and one that begins now: its cache has nothing, and the signer is not one it was told of.
    let followed = try await follow(address, folder, first, flags)
    #expect(followed.status == 0, "\(followed)")
    let fresh = TemporaryDirectory()
    let begun = try await follow(address, fresh, first, flags)
    #expect(begun.status == 0, "\(begun)")
    for folder in [folder, fresh] {
      #expect(try String(contentsOfFile: folder["into/current/press"], encoding: .utf8) == "recipe: 2\n")
    }
    try await publish("recipe: 3\n", "operator")
    let refused = try await follow(address, folder, first, flags)
    #expect(refused.status == 3 && refused.has("signer-untrusted"), "\(refused)")
    await road.tearDown()
  }

  @Test(arguments: [Way.file, .https])
  func `a plain tree brings the trust update that its new signer needs`(way: Way) async throws {
    let site = Site(repository: try await OperatorRepository())
    let road = try await way.road(to: site.repository)
    let (folder, flags) = (site.folder, flags(road))
    let first = try site.signers(release: "operator")
    let address = "\(road.address)?ref=main&path=north"
    try await site.repository.commit(["north/press": "1"])
    #expect(try await follow(address, folder, first, flags).status == 0)
    try await publishTrust("\(road.address)?ref=main&path=.desired-state", site, release: "second", flags)
    try await site.repository.git("reset", "-q", "--hard", "refs/heads/main")
    try write("2", to: site.repository.tree + "/north/press")
    try await site.repository.commitTree(signer: "second")
    let fresh = TemporaryDirectory()
    for folder in [folder, fresh] {
      let followed = try await follow(address, folder, first, flags)
      #expect(followed.status == 0, "\(followed)")
      #expect(try String(contentsOfFile: folder["into/current/press"], encoding: .utf8) == "2")
    }
    try write("3", to: site.repository.tree + "/north/press")
    try await site.repository.commitTree(signer: "operator")
    let refused = try await follow(address, folder, first, flags)
    #expect(refused.status == 3 && refused.has("signer-untrusted"), "\(refused)")
    await road.tearDown()
  }
}
