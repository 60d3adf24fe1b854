import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// That commits follow on the adopted one, on every road: the history is fetched only as far as it is needed.
@Suite(.timeLimit(.minutes(2))) struct HistoryTests {
  @Test(arguments: Way.allCases)
  func `an amended and force-pushed branch is refused, and one on top of the adopted commit adopted`(
    way: Way
  ) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    try await repository.commit(["press": "0"])
    let adopted = try await repository.commit(["press": "1"])
    #expect(try await device.look() == ["press": "1"])
    try await repository.commit(["press": "2"], amend: true)
    for _ in 1...2 { #expect(try await device.refusal().code == .historyRewritten) }
    // With a thousand commits of its own in between, on a device that still stands at the first.
    try await repository.git("reset", "--hard", "-q", adopted)
    for number in 0..<5 { try await repository.commit(["press": "\(number)"]) }
    #expect(try await device.look() == ["press": "4"])
    await road.tearDown()
  }

  @Test(arguments: [Way.https, .httpsVersion0, .sshVersion0])
  func `a merge of a branch that is older than the adopted commit follows on it`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    let old = ["GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z", "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z"]
    try await repository.commit(["press": "0"])
    try await repository.git("branch", "feature")
    try await repository.commit(["press": "1"])
    try await device.look()
    try await repository.commit(["press": "2"])
    try await repository.git("checkout", "-q", "-f", "feature")
    try write("7", to: repository.tree + "/oven")
    try await repository.git("add", "-A")
    try await repository.git("commit", "-q", "-m", "oven", "-S", environment: old)
    try await repository.git("checkout", "-q", "-f", "main")
    try await repository.git("merge", "-q", "--no-ff", "-S", "-m", "merge", "feature")
    #expect(try await device.look() == ["press": "2", "oven": "7"])
    await road.tearDown()
  }

  @Test(arguments: [Way.https, .file])
  func `a branch that is set back to an older commit is behind`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    let first = try await repository.commit(["press": "1"])
    try await repository.commit(["press": "2"])
    try await device.look()
    try await repository.git("update-ref", "refs/heads/main", first)
    for _ in 1...2 { #expect(try await device.refusal().code == .behind) }
    await road.tearDown()
  }

  @Test func `a clock that ran backwards between two commits is no rewritten history`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let device = try Device(repository, over: road)
    try await repository.commit(["press": "1"])
    try await device.look()
    try write("2", to: repository.tree + "/press")
    try await repository.git("add", "-A")
    try await repository.git(
      "commit", "-q", "-m", "back", "-S", environment: ["GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z"])
    #expect(try await device.look() == ["press": "2"])
    await road.tearDown()
  }

  @Test(arguments: [Way.https, .file])
  func `a mirror that is behind is refused, whatever it is called`(way: Way) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    try await repository.commit(["press": "1"])
    try await repository.git("branch", "behind")
    try await repository.commit(["press": "2"])
    try await repository.git("branch", "same")
    try await device.look()
    for (branch, isBehind) in [("refs/heads/behind", true), ("same", false), ("refs/heads/main", false)] {
      let mirror = try Device(repository, "ref=\(branch)", over: road)
      mirror.adoptedMarker = device.marker
      if isBehind {
        #expect(try await mirror.refusal().code == .behind)
      } else {
        #expect(try await mirror.look() == ["press": "2"])
      }
    }
    await road.tearDown()
  }

  @Test func `a branch that is hundreds of commits ahead of a clock that was wrong is followed`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let device = try Device(repository, over: road)
    try write("1", to: repository.tree + "/press")
    try await repository.git("add", "-A")
    try await repository.git(
      "commit", "-q", "-m", "ahead", "-S", environment: ["GIT_COMMITTER_DATE": "2037-01-01T00:00:00Z"])
    try await device.look()
    var commits = "reset refs/heads/main\nfrom \(try await repository.git("rev-parse", "main"))\n\n"
    for number in 0..<300 {
      commits +=
        "commit refs/heads/main\ncommitter Operator <o@plant.example> \(1_700_000_000 + number) +0000\ndata 1\nx\n\n"
    }
    try await repository.git(["fast-import", "--quiet", "--force"], input: Array(commits.utf8))
    try await repository.git("reset", "-q", "--hard")
    try await repository.commit(["press": "2"])
    #expect(try await device.look() == ["press": "2"])
    await road.tearDown()
  }

  @Test func `with history=any a rewritten branch is followed`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository, "ref=main&history=any")
    try await repository.commit(["press": "1"])
    try await device.look()
    try await repository.commit(["press": "2"], amend: true)
    #expect(try await device.look() == ["press": "2"])
  }

  @Test func `a device that lost its cache still knows which commit it adopted`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    let device = try Device(repository, over: road, cache: cache.path)
    try await repository.commit(["press": "1"])
    try await repository.commit(["press": "2"])
    try await device.look()
    try FileManager.default.removeItem(atPath: cache.path)
    try await repository.commit(["press": "3"], amend: true)
    #expect(try await device.refusal().code == .historyRewritten)
    await road.tearDown()
  }

  @Test func `the same documents in a commit that does not follow are not adopted in silence`() async throws {
    let repository = try await OperatorRepository()
    let device = try Device(repository)
    try await repository.commit(["press": "0"])
    try await repository.commit(["press": "1"])
    try await device.look()
    let marker = device.marker
    try await repository.commitTree(amend: true)
    #expect(try await device.refusal().code == .historyRewritten)
    #expect(device.marker == marker)
  }
}
