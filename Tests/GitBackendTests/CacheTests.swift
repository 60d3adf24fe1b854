import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// The cache of a remote repository: bounded, and rebuilt whenever it is not right.
@Suite(.timeLimit(.minutes(3))) struct CacheTests {
  private func packs(in cache: TemporaryDirectory) -> [String] {
    names(in: cache.path).flatMap { folder in names(in: cache["\(folder)/pack"]).map { "\(folder)/pack/\($0)" } }
  }

  private func size(of cache: TemporaryDirectory) -> Int {
    let files = FileManager.default.enumerator(atPath: cache.path)?.compactMap { $0 as? String } ?? []
    return files.reduce(0) { total, file in
      let attributes = try? FileManager.default.attributesOfItem(atPath: cache[file])
      return total + (attributes?[.type] as? FileAttributeType == .typeRegular ? attributes?[.size] as? Int ?? 0 : 0)
    }
  }

  enum Damage: String, CaseIterable, Sendable {
    case cutPack, noPack, noIndex, wrongBytes, foreignFiles, unwritable, fileInPlace, linkToNowhere, noPlace
  }

  @Test(arguments: Damage.allCases) func `a cache that is not right is rebuilt`(damage: Damage) async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    try await repository.commit(["press": "1", "belt": String(repeating: "speed: 2\n", count: 5000)])
    let first = try Device(repository, over: road, cache: cache.path)
    try await first.look()
    let pack = cache[try #require(packs(in: cache).first { $0.hasSuffix(".pack") })]
    let index = pack.replacingOccurrences(of: ".pack", with: ".idx")
    try await run(["chmod", "-R", "u+w", cache.path])
    switch damage {
    case .cutPack: try #require(truncate(pack, off_t(try contents(of: pack).count / 2)) == 0)
    case .noPack: try FileManager.default.removeItem(atPath: pack)
    case .noIndex: try FileManager.default.removeItem(atPath: index)
    case .wrongBytes:
      var bytes = try contents(of: pack)
      for offset in 30..<(bytes.count - 20) { bytes[offset] ^= 0x55 }
      try write(bytes, to: pack)
    case .foreignFiles:
      let folder = names(in: cache.path)[0]
      try write("\(String(repeating: "0", count: 40))\nnot a tip\n", to: cache["\(folder)/tips"])
      try write("garbage", to: cache["\(folder)/pack/pack-1234.idx"])
      try write("garbage", to: cache["\(folder)/pack/pack-1234.pack"])
      try write("half a pack", to: cache["\(folder)/pack/pack_git2_abc"])
    case .unwritable:
      let folder = names(in: cache.path)[0]
      try FileManager.default.removeItem(atPath: cache["\(folder)/pack"])
      try write("a file where a directory should be", to: cache["\(folder)/pack"])
    case .fileInPlace, .linkToNowhere:
      let place = cache[names(in: cache.path)[0]]
      try FileManager.default.removeItem(atPath: place)
      if damage == .fileInPlace {
        try write("no directory", to: place)
      } else {
        try #require(symlink("/none", place) == 0)
      }
    case .noPlace:
      try FileManager.default.removeItem(atPath: cache.path)
      try write("no directory", to: cache.path)
    }
    // Another process, which knows the adopted commit; and one that knows nothing.
    for current in [false, true] {
      let device = try Device(repository, over: road, cache: cache.path)
      #expect(try await device.look()?["press"] == "1", "current: \(current)")
    }
    try await repository.commit(["press": "2"])
    #expect(try await first.look() == ["press": "2"])
    await road.tearDown()
  }

  @Test func `what an interrupted fetch left is removed`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    try await repository.commit(["press": "1"])
    try await Device(repository, over: road, cache: cache.path).look()
    let left = cache["\(names(in: cache.path)[0])/pack/pack_git2_left"]
    try write("half a pack", to: left)
    try await repository.commit(["press": "2"])
    try await Device(repository, over: road, cache: cache.path).look()
    #expect(!FileManager.default.fileExists(atPath: left))
    await road.tearDown()
  }

  @Test func `two backends with one cache do not get in each other's way`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    let devices = try (0..<2).map { _ in try Device(repository, over: road, cache: cache.path) }
    for number in 0..<3 {
      try await repository.commit(["press": "\(number)"])
      for device in devices { #expect(try await device.look() == ["press": "\(number)"]) }
    }
    await road.tearDown()
  }

  @Test func `after 200 updates the cache is as small as it was, and a temporary one goes away`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    var generator = SystemRandomNumberGenerator()
    var documents: [String: [UInt8]] = [:]
    for number in 0..<200 {
      documents["document-\(number)"] = (0..<2000).map { _ in UInt8.random(in: 32...126, using: &generator) }
    }
    try await repository.commit(documents)
    let device = try Device(repository, over: road, cache: cache.path)
    try await device.look()
    var largest = 0
    for update in 0..<200 {
      documents["document-\(update % 200)"] = (0..<2000).map { _ in UInt8.random(in: 32...126, using: &generator) }
      try write(documents["document-\(update % 200)"]!, to: "\(repository.tree)/document-\(update % 200)")
      try await repository.git("commit", "-q", "-a", "-m", "update", "-S")
      try await device.look()
      largest = max(largest, size(of: cache))
    }
    // 400 kB of documents: with the blobs of the store, twice as much and 1 MB in all.
    #expect(largest <= 400_000 + 1_000_000, "the cache grew to \(largest) bytes")
    await road.tearDown()
  }

  @Test func `a full disk is an error that says so, and is over when there is room`() async throws {
    let repository = try await OperatorRepository()
    let road = try await GitOverHTTP(repository)
    let cache = TemporaryDirectory()
    try await run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", cache.path])
    try await repository.commit([
      "press": (0..<200_000).map { _ in UInt8.random(in: 0...255) }
    ])
    let device = try Device(repository, over: road, cache: cache.path)
    let error = try await thrown(BackendError.self) { try await device.look() }
    #expect(error.message.contains("No space left"), "\(error)")
    try await run(["mount", "-o", "remount,size=4m", cache.path])
    #expect(try await device.look()?.count == 1)
    try await run(["umount", "-l", cache.path])
    await road.tearDown()
  }
}
