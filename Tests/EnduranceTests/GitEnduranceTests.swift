import DesiredState
import Foundation
import GitTestSupport
import TestSupport
import Testing

@testable import GitBackend

/// Hundreds of fetches; in a process of its own, whose memory and descriptors are counted.
@Suite(.serialized, .timeLimit(.minutes(5))) struct GitEnduranceTests {
  @Test(arguments: [Way.file, .https])
  func `500 fetches of something new leave memory, descriptors and threads as they were`(
    way: Way
  ) async throws {
    let repository = try await OperatorRepository()
    let road = try await way.road(to: repository)
    let device = try Device(repository, over: road)
    try await repository.commit(["press": "0", "belt": String(repeating: "speed: 2\n", count: 20_000)])
    func fetches(_ count: Int) async throws {
      for number in 0..<count {
        try write("\(number) \(count)", to: repository.tree + "/press")
        try await repository.git("commit", "-q", "-a", "-m", "change", "-S")
        #expect(try await device.look()?.count == 2)
      }
    }
    try await fetches(60)
    let before = Holdings()
    try await fetches(500)
    let after = Holdings()
    #expect(after.descriptors <= before.descriptors + 4)
    #expect(after.threads <= before.threads + 4)
    // The leak in libgit2's remotes, which are not used here, would be 120 MB.
    #expect(after.memory <= before.memory + 16 << 10, "\(before) became \(after)")
    await road.tearDown()
  }
}
