import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Devices that were away: what they fetch is what they lack, and not the history of it.
@Suite(.timeLimit(.minutes(4))) struct CatchingUpTests {
  @Test(arguments: [true, false])
  func `a device that missed 40 releases fetches little more than a fresh one`(filters: Bool) async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository, filters: filters)
    try await repository.commit(["firmware": random(400_000)])
    let device = try Device(repository, over: road)
    try await device.look()
    for _ in 0..<40 { try await repository.commit(["firmware": random(400_000)]) }
    let fresh = try await bytes(road) { try await Device(repository, over: road).look() }
    let late = try await bytes(road) { try await device.look() }
    #expect(try await device.look() == nil)
    #expect(Double(late) < 1.5 * Double(fresh) + 40 * 300, "\(late) bytes, a fresh device \(fresh)")
    await road.tearDown()
  }

  @Test(arguments: [true, false])
  func `5,001 commits between two polls are no rewritten history`(filters: Bool) async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository, filters: filters)
    try await repository.commit(["press": "1"])
    let device = try Device(repository, over: road)
    try await device.look()
    var commits = "reset refs/heads/main\nfrom \(try await repository.git("rev-parse", "main"))\n\n"
    for number in 0..<5_000 {
      commits +=
        "commit refs/heads/main\ncommitter Operator <o@plant.example> \(1_900_000_000 + number) +0000\ndata 1\nx\nM 644 inline other\ndata 5\n\(10_000 + number)\n"
    }
    try await repository.git(["fast-import", "--quiet", "--force"], input: Array(commits.utf8))
    try await repository.git("reset", "-q", "--hard")
    try await repository.commit(["press": "2"])
    let size = try await bytes(road) { try await device.look() }
    #expect(size < 5_001 * 300 + 300_000, "\(size)")
    #expect(try await device.look() == nil)
    await road.tearDown()
  }

  @Test func `a file in the history that is too large for the device does not concern it`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let limits = Limits(manifestSize: 1000, documentSize: 100_000)
    try await repository.commit(["press": "1"])
    let device = try Device(repository, over: road)
    try await device.look(limits: limits)
    try await repository.commit(["press": random(1_000_000)])
    #expect(try await device.refusal(limits: limits).code == .limitExceeded)
    try await repository.commit(["press": "3"])
    #expect(try await device.look(limits: limits) == ["press": "3"])
    await road.tearDown()
  }

  // MARK: - Before the signature

  @Test(arguments: [Way.https, .httpsVersion0, .ssh])
  func `of a commit that is not signed nothing stays, and little is fetched`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let cache = TemporaryDirectory()
    let road = try await way.road(to: repository)
    try await repository.commit(["press": "1"])
    let device = try Device(repository, over: road, cache: cache.path)
    try await device.look()
    let before = try await road.bytes() ?? 0
    try await repository.commit(["press": random(30_000_000)], signer: nil)
    for _ in 0..<2 { #expect(try await device.refusal().code == .signatureMissing) }
    if let after = try await road.bytes() {
      #expect(after - before < 25_000_000, "\(after - before)")
      // Known by now: the pack is not asked for again, only where the branch leads.
      #expect(try await device.refusal().code == .signatureMissing)
      let again = try await road.bytes() ?? after
      #expect(again - after < 1000 || way == .httpsVersion0)
    }
    #expect(try await size(of: cache) < 100_000)
    try await repository.commit(["press": "2"])
    #expect(try await device.look() == ["press": "2"])
    await road.tearDown()
  }

  @Test func `a small pack that expands beyond reason is not expanded before a signature is trusted`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    // Two versions of 200 MB of zeros: one is a delta of the other. It pretends to be a drop.
    for name in ["one", "two"] {
      _ = FileManager.default.createFile(atPath: "\(repository.tree)/\(name)", contents: nil)
      try #require(truncate("\(repository.tree)/\(name)", name == "one" ? 200_000_000 : 200_000_001) == 0)
    }
    try write("{}", to: repository.tree + "/manifest.json")
    try await repository.commitTree(signer: nil)
    try await repository.git("repack", "-q", "-a", "-d", "-f", "--window=10")
    let error = try await Device(repository, over: road).refusal()
    #expect(error.code == .limitExceeded || error.code == .signatureMissing, "\(error)")
    await road.tearDown()
  }

  private func size(of cache: TemporaryDirectory) async throws -> Int {
    try #require(Int(try await run(["du", "-sb", cache.path]).split(separator: "\t")[0]))
  }
}
