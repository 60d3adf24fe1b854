import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@testable import DesiredState

/// Flash wears: what weeks of polls write to it. `POLLS=20160` makes it a week.
@Suite("Bytes written", .timeLimit(.minutes(10)))
struct WritingTests {
  let agent = Agent()
  let backend = MockBackend()
  let polls = ProcessInfo.processInfo.environment["POLLS"].flatMap(Int.init) ?? 1000

  /// Bytes written to the disk in so many polls, one every 30 seconds: a file that was replaced counts in whole blocks.
  private func written(_ reconciler: Reconciler, polls: Int) async throws -> Int {
    let files = ["state.json", "contacts.json", "outbox/state.json"].map { "\(agent.path)/\($0)" }
    func numbers() -> [Int?] {
      files.map { (try? FileManager.default.attributesOfItem(atPath: $0))?[.systemFileNumber] as? Int }
    }
    var (before, bytes) = (numbers(), 0)
    for _ in 0..<polls {
      agent.clock.advance(by: .seconds(30))
      _ = try await reconciler.runOnce()
      let after = numbers()
      for (index, file) in files.enumerated() where after[index] != before[index] && after[index] != nil {
        let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
        bytes += (size + 4095) / 4096 * 4096
      }
      before = after
    }
    return bytes
  }

  enum Situation: String, CaseIterable { case unchanged, unreachable, refused, undeliverable }

  @Test("A week's polls that find nothing new, or fail, write less than a megabyte", arguments: Situation.allCases)
  func week(_ situation: Situation) async throws {
    backend.publish(["a": "1"])
    let log = LogRecord()
    let reconciler = try await agent.loop([backend], policy: backend.policy, log: log)
    #expect(try await reconciler.runOnce().word == "current")
    switch situation {
    case .unchanged: break
    case .unreachable: backend.becomeUnreachable()
    case .refused: backend.publish(["a": "2"], device: "another")
    case .undeliverable:
      backend.publish(["a": "2"])
      backend.fail(.acknowledge, with: BackendError(.serverError, "no"))
    }
    let bytes = try await written(reconciler, polls: polls)
    let lines = log.count(of: "")
    print("\(situation): \(bytes) bytes written in \(polls) polls, \(lines) lines logged")
    #expect(bytes * 20_160 / polls < 1 << 20)
    #expect(lines <= 5)
  }
}
