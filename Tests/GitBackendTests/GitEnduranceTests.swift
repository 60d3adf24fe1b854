import DesiredState
import Foundation
import Testing

@testable import GitBackend

/// Hundreds of fetches; in a process of its own, whose memory and descriptors are counted.
@Suite(.serialized, .timeLimit(.minutes(5))) struct GitEnduranceTests {
  @Test(arguments: [HistoryTests.Way.file, .https])
  func `500 fetches of something new leave memory, descriptors and threads as they were`(
    way: HistoryTests.Way
  ) async throws {
    let repository = try await OperatorRepository()
    let road: any RoadUnderTest = way == .file ? FileRoad(repository) : try await WebRoad(repository)
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
    let before = Resources.now()
    try await fetches(500)
    let after = Resources.now()
    #expect(after.descriptors <= before.descriptors + 4)
    #expect(after.threads <= before.threads + 4)
    // The leak in libgit2's remotes, which are not used here, would be 120 MB.
    #expect(after.memory <= before.memory + 16 << 20, "\(before.memory) became \(after.memory)")
    await road.tearDown()
  }

  private struct Resources {
    let descriptors: Int
    let threads: Int
    let memory: Int

    static func now() -> Resources {
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      func value(_ name: String) -> Int {
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
      }
      return Resources(
        descriptors: names(in: "/proc/self/fd").count, threads: value("Threads"), memory: value("VmRSS") << 10)
    }
  }
}
