import DesiredStateSupport
import DesiredStateTesting
import Foundation
import Testing

@testable import DesiredState

/// A year in a device's life, from a seed: see `SimulatedDevice`. `make simulate` runs thousands.
@Suite("A year of a device", .timeLimit(.minutes(10)))
struct SimulationTests {
  @Test("Whatever goes wrong in a year: nothing unverified, never back, no loss, and all is well in the end")
  func year()
    async throws
  {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["SIMULATION_SEED"].flatMap(UInt64.init) ?? 1
    let count = environment["SIMULATION_SEEDS"].flatMap(UInt64.init) ?? 6
    let start = ContinuousClock.now
    let next = LockedValue(first)
    let failed = LockedValue<[UInt64]>([])
    let steps = LockedValue(0)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          while !Task.isCancelled {
            let seed = next.withLock { next in
              defer { next += 1 }
              return next
            }
            guard seed < first + count, failed.withLock({ $0.count < 3 }) else { return }
            let device = SimulatedDevice(seed: seed)
            do {
              try await device.live()
              steps.withLock { $0 += device.steps }
            } catch {
              failed.withLock { $0.append(seed) }
              let story = device.story.joined(separator: "\n  ")
              Issue.record("seed \(seed): \(error)\n  \(story)\nalone: make simulate SEED=\(seed) SEEDS=1")
            }
          }
        }
      }
    }
    let total = steps.withLock { $0 }
    print("simulated \(count) years in \(ContinuousClock.now - start), \(total) steps")
  }

  @Test("A device with a fault is found out, and its seed tells the same story again") func replay() async throws {
    var stories: [[String]] = []
    for _ in 0..<2 {
      let device = SimulatedDevice(seed: 1, isSabotaged: true)
      await #expect("a document that stays must be noticed") {
        try await device.live()
      } throws: {
        "\($0)".contains("is there, and not")
      }
      stories.append(device.story)
    }
    #expect(stories[0] == stories[1])
    #expect(stories[0].count > 5)
  }
}
