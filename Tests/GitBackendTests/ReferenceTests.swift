import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// What `ref=` can name, and that a tag counts under its own name.
@Suite(.timeLimit(.minutes(2))) struct ReferenceTests {
  @Test(
    arguments: [
      (">=1.2 <2", "v1.10.0"), ("^1.2", "v1.10.0"), ("~1.2", "1.2.9"), ("1.x", "v1.10.0"), ("*", "v2.0.0"),
      ("1.2.3", "v1.2.3"), ("<1", "0.9"), ("^0.9 || ~1.2.0", "1.2.9"), (">=2.1.0-rc.1", "v2.1.0-rc.2"),
      (">= 1.0, < 1.5", "1.2.9"), ("<=1.2", "1.2.9"), (">1", "v2.0.0"), ("=2", "v2.0.0"), (">3", nil),
    ] as [(String, String?)])
  func `a range finds the newest version in it`(range: String, expected: String?) throws {
    let names = [
      "v1.2.3", "1.2.9", "v1.10.0", "v2.0.0", "v2.1.0-rc.1", "v2.1.0-rc.2", "0.9", "nightly", "v1.2.3.4", "1..2",
    ]
    #expect(try #require(VersionRange(range)).newest(of: names) == expected)
  }

  @Test(arguments: ["", ">=", "1.2.3.4", "latest", ">=1 <", "~>1", "-1", "1 || "])
  func `a range that cannot be read is refused`(range: String) {
    #expect(VersionRange(range) == nil)
    #expect(throws: SourceAddressError.self) { try GitReference("semver:\(range)") }
  }

  @Test func `the order of versions is that of the specification`() throws {
    let texts = [
      "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
      "1.0.0", "1.0.1",
    ]
    let versions = try texts.map { try #require(SemanticVersion($0)) }
    #expect(versions.shuffled().sorted() == versions)
  }

  @Test(arguments: Way.allCases)
  func `HEAD, a commit and a range of versions are followed`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let first = try await repository.commit(["press": "1"])
    try await repository.git("tag", "v1.0.0")
    try await repository.commit(["press": "2"])
    try await repository.git("tag", "v1.1.0")
    try await repository.commit(["press": "3"])
    try await repository.git("tag", "v2.0.0")
    let road = try await way.road(to: repository)
    #expect(try await Device(repository, "ref=HEAD", over: road).look() == ["press": "3"])
    #expect(try await Device(repository, "", over: road).look() == ["press": "3"])
    let range = try Device(repository, "ref=semver:%3E=1%20%3C2", over: road)
    #expect(try await range.look() == ["press": "2"])
    #expect(try await range.look() == nil)
    // The protocol before version 2 serves only commits that a reference leads to.
    let pinned = try Device(
      repository,
      "ref=\(way == .sshVersion0 || way == .httpsVersion0 ? try await repository.git("rev-parse", "main") : first)",
      over: road)
    #expect(try await pinned.look()?.count == 1)
    #expect(try await pinned.look() == nil)
    let missing = try Device(repository, "ref=\(String(repeating: "ab", count: 20))", over: road)
    guard case .absent(let absence) = try await missing.fetch().outcome else {
      Issue.record("a commit that is not there is not absent")
      return
    }
    #expect(absence.part == .reference && absence.reason.contains("abab"), "\(absence)")
    await road.tearDown()
  }

  // MARK: - Tags

  private func tag(_ name: String, _ repository: OperatorRepository, date: String? = nil) async throws {
    try await repository.git(
      ["tag", "-s", "-m", name, "-u", repository.keys.folder["operator"], name],
      environment: date.map { ["GIT_COMMITTER_DATE": $0] } ?? [:])
  }

  @Test(arguments: [Way.file, .https])
  func `a signed tag under another tag's name is refused`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    try await repository.commit(["press": "1"], signer: nil)
    try await tag("v1", repository)
    #expect(try await Device(repository, "ref=v1", over: road).look() == ["press": "1"])
    try await repository.git("update-ref", "refs/tags/v2", "refs/tags/v1")
    let error = try await Device(repository, "ref=v2", over: road).refusal()
    #expect(error.code == .signatureInvalid && "\(error)".contains("\"v1\""), "\(error)")
    // As a branch it says nothing about the branch.
    try write(try await repository.git("rev-parse", "refs/tags/v1") + "\n", to: repository.path + "/refs/heads/stable")
    #expect(try await Device(repository, "ref=refs/heads/stable", over: road).refusal().code == .signatureMissing)
    await road.tearDown()
  }

  @Test func `an operator who names a later signed tag needs no history=any; an earlier one is refused`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    // Two branches for releases: the second does not descend from the first.
    try await repository.commit(["press": "0"])
    try await repository.git("branch", "next")
    try await repository.commit(["press": "1"])
    try await tag("v1.0.9", repository)
    let adopted = try Device(repository, "ref=v1.0.9", over: road)
    #expect(try await adopted.look() == ["press": "1"])
    try await repository.git("checkout", "-q", "-f", "next")
    try await repository.commit(["press": "2"])
    try await tag("v2.0.0", repository, date: "2040-01-01T00:00:00Z")
    try await tag("v0.9.0", repository, date: "2020-01-01T00:00:00Z")
    for (name, isLater) in [("v0.9.0", false), ("v2.0.0", true)] {
      let device = try Device(repository, "ref=\(name)", over: road)
      device.adoptedMarker = adopted.marker
      if isLater {
        #expect(try await device.look() == ["press": "2"])
      } else {
        let code = try await device.refusal().code
        #expect(code == .historyRewritten || code == .behind)
      }
    }
    await road.tearDown()
  }

  @Test(arguments: [
    "git+https://host/r.git?ref=fix#12", "git+https://host/r.git?ref=semver:latest",
    "git+https://host/r.git?receipts=some",
  ])
  func `an address that would be read otherwise than it was meant is refused`(address: String) {
    #expect(throws: SourceAddressError.self) {
      try GitBackend(try SourceAddress(address), context: BackendContext(device: "press-42"))
    }
  }

  @Test func `a text that only begins like an LFS pointer is a document`() async throws {
    let repository = try await OperatorRepository()
    let line = "version https://git-lfs.github.com/spec/v1\n"
    try await repository.commit(["press": line + "is the first line of a pointer\n"])
    #expect(try await Device(repository).look()?.count == 1)
    try await repository.commit(["press": line + "oid sha256:\(String(repeating: "0", count: 64))\nsize 12345\n"])
    #expect(try await Device(repository).refusal().code == .manifestMalformed)
  }

  @Test(
    arguments: [
      ("git@plant.example:team/states.git", "git+ssh://git@plant.example/team/states.git"),
      ("ssh://git@plant.example/states.git", "git+ssh://git@plant.example/states.git"),
      ("https://plant.example/states.git?ref=main", "git+https://plant.example/states.git?ref=main"),
      ("git://plant.example/states.git", "git+https:"), ("https://plant.example/manifest.json", nil),
      ("margo+https://plant.example", nil), ("/srv/drop", nil), ("git+ssh://git@plant.example/states.git", nil),
    ] as [(String, String?)])
  func `an address that means a repository and does not say so gets advice`(address: String, form: String?) {
    let advice = GitBackend.advice(on: address)
    if let form { #expect(advice?.contains(form) == true, "\(advice ?? "no advice")") } else { #expect(advice == nil) }
  }

  @Test func `the path of a bare repository gets advice, and a working tree is a directory`() async throws {
    let repository = try await OperatorRepository()
    for address in [repository.path, "file://\(repository.path)"] {
      #expect(GitBackend.advice(on: address)?.contains("git+file:///") == true)
    }
    #expect(GitBackend.advice(on: repository.tree) == nil)
  }
}
