import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// What a device need not fetch, and what it need not fetch again.
@Suite(.timeLimit(.minutes(4))) struct PartsTests {
  // MARK: - A line that is too slow

  /// Looks until the state is there. Each poll has a second, for which it is too much.
  private func lookUntilThere(_ next: () throws -> Device) async throws -> (Int, [String: String]) {
    var count = 0
    while count < 60 {
      count += 1
      do {
        if let documents = try await next().look(timeout: .seconds(2)) { return (count, documents) }
      } catch let error as BackendError where error.code == .timeout {}
    }
    return (count, [:])
  }

  @Test func `a first sync that is larger than one timeout gets ahead in every process that polls once`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository, directives: "limit_rate 400k;")
    let cache = TemporaryDirectory()
    let files = Dictionary((0..<40).map { ("file-\($0)", random(60_000)) }) { first, _ in first }
    try await repository.commit(files)
    let before = try await road.bytes() ?? 0
    let (looks, documents) = try await lookUntilThere { try Device(repository, over: road, cache: cache.path) }
    #expect(documents.count == 40 && looks > 1, "\(looks) looks")
    let moved = try await road.bytes()! - before
    // What a poll breaks off is fetched again; without parts it would never end.
    #expect(moved < 4 * 40 * 60_000, "\(moved) bytes")
    await road.tearDown()
  }

  @Test func `a first sync goes on between polls, also from a server that cannot send parts`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository, filters: false, directives: "limit_rate 400k;")
    let cache = TemporaryDirectory()
    try await repository.commit(["firmware": random(2_400_000)])
    let device = try Device(repository, over: road, cache: cache.path)
    let before = try await road.bytes() ?? 0
    let error = try await thrown(BackendError.self) { try await device.look(timeout: .seconds(2)) }
    #expect(error.code == .timeout && error.message.contains("goes on"), "\(error)")
    let (looks, documents) = try await lookUntilThere { device }
    #expect(documents.count == 1 && looks > 1, "\(looks) looks")
    let moved = try await road.bytes()! - before
    #expect(moved < 2_600_000, "\(moved) bytes")
    await road.tearDown()
  }

  @Test func `an update that broke off is fetched in parts, and what came is kept`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository, directives: "limit_rate 400k;")
    let cache = TemporaryDirectory()
    try await repository.commit(["press": "1"])
    // A process each: one that goes on has the cache for itself.
    func device() throws -> Device { try Device(repository, over: road, cache: cache.path) }
    try await device().look()
    try await repository.commit(Dictionary((0..<40).map { ("file-\($0)", random(60_000)) }) { first, _ in first })
    let (_, documents) = try await lookUntilThere { try device() }
    #expect(documents.count == 40)
    try await repository.commit(["press": "2"])
    #expect(try await device().look() == ["press": "2"])
    await road.tearDown()
  }

  @Test func `what goes on between polls ends when nothing comes`() async throws {
    let repository = try await OperatorRepository()
    try await repository.commit(["press": "1"])
    let server = try await ScriptedServer(repository, ["silent=60"])
    let cache = TemporaryDirectory()
    let device = try Device(repository, over: server, cache: cache.path)
    _ = try await thrown(BackendError.self) { try await device.look(timeout: .seconds(1)) }
    await server.tearDown()
    let other = try await GitOverHTTP(repository)
    #expect(try await Device(repository, over: other, cache: cache.path).look() == ["press": "1"])
    await other.tearDown()
  }

  // MARK: - One path of many

  @Test(arguments: [true, false])
  func `of a repository with much beside the path, the path is fetched`(withCache: Bool) async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    let other = Dictionary((0..<20).map { ("other/file-\($0)", random(100_000)) }) { first, _ in first }
    func commit(_ number: Int) async throws {
      let own = ["sites/north/press": Array("\(number)".utf8), "sites/north/belt/speed": random(1000)]
      try await repository.commit(other.merging(own) { $1 })
    }
    try await commit(1)
    let device = try Device(
      repository, "ref=main&path=sites/north", over: road, cache: withCache ? cache.path : nil)
    let first = try await bytes(road) {
      let documents = try await device.look()
      #expect(documents?["press"] == "1")
    }
    #expect(first < 20_000, "\(first)")
    for number in 2...30 {
      try await commit(number)
      let next = try await bytes(road) {
        let documents = try await device.look()
        #expect(documents?["press"] == "\(number)")
      }
      #expect(next < 10_000, "\(next)")
    }
    #expect(try await device.look() == nil)
    // The other files change, and one of ours is made from one of them: nothing builds on what is not here.
    let moved = other["other/file-0"]! + Array("more".utf8)
    try await repository.commit(["sites/north/press": moved, "other/file-0": other["other/file-0"]!])
    #expect(try await device.look()?["press"] == String(decoding: moved, as: UTF8.self))
    // A server that does not filter any more.
    try await repository.git("config", "uploadpack.allowFilter", "false")
    try await repository.commit(["sites/north/press": moved + [10], "other/file-0": moved])
    let again = try Device(repository, "ref=main&path=sites/north", over: road, cache: cache.path)
    #expect(try await again.look()?.count == 1)
    await road.tearDown()
  }

  @Test func `a server that leaves files out, and does not send them one by one, is followed`() async throws {
    let repository = try await OperatorRepository()
    try await repository.git("config", "uploadpack.allowFilter", "true")
    let server = try await ScriptedServer(repository, ["no-parts"])
    for query in ["ref=main", "ref=main&path=site"] {
      try await repository.commit(["site/press": "1", "other": "2"])
      let device = try Device(repository, query, over: server)
      #expect(try await device.look()?.values.contains("1") == true)
      try await repository.commit(["site/press": "3", "other": "2"])
      #expect(try await device.look()?.values.contains("3") == true)
    }
    #expect(server.log.contains("refused parts"))
    await server.tearDown()
  }

  @Test func `of a drop that is refused no document is fetched, from a server that filters`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let documents = random(3_000_000)
    let digest = Digest.of(documents)
    let manifest = """
      {"manifestVersion":1,"bundle":null,"deployments":[{"deploymentId":"press","digest":"\(digest)","sizeBytes":3000000,"url":"documents/\(digest.fileName)"}]}
      """
    try await repository.commit(
      ["manifest.json": Array(manifest.utf8), "documents/\(digest.fileName)": documents], signer: nil)
    let device = try Device(repository, over: road)
    let size = try await bytes(road) {
      let code = try await device.refusal().code
      #expect(code == .signatureMissing)
    }
    #expect(size < 20_000, "\(size)")
    await road.tearDown()
  }
}
