import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@testable import DesiredState

/// Clocks that are wrong: the device's and the publisher's.
@Suite("Wrong clocks", .timeLimit(.minutes(5)))
struct ClockTests {
  let agent = Agent()
  let backend = MockBackend()
  private let day: TimeInterval = 86_400

  private func cycle() async throws -> String { try await agent.cycle([backend], policy: backend.policy).word }

  @Test("One publisher with a clock ten years ahead bricks no device") func publisherAhead() async throws {
    let now = agent.clock.date
    backend.publish(["a": "1"], issued: now)
    #expect(try await cycle() == "current")
    backend.publish(["a": "2"], issued: now + 3650 * day)
    #expect(try await cycle() == "rejected time-jump")
    // The mistake is mended: 30 days of validity are enough.
    backend.publish(["a": "3"], issued: now + 60, expires: now + 30 * day)
    #expect(try await cycle() == "current")
    // A day is believed: clocks differ.
    backend.publish(["a": "4"], issued: now + day - 1)
    #expect(try await cycle() == "current")
    backend.publish(["a": "5"], issued: now, expires: now + 30 * day)
    #expect(try await cycle() == "current")
  }

  @Test("A device whose clock is right again is not bound by what it believed before") func deviceBehind() async throws
  {
    let now = agent.clock.date
    agent.clock.date = Date(timeIntervalSince1970: 0)
    backend.publish(["a": "1"], issued: now + 3650 * day)
    #expect(try await cycle() == "current", "a clock of 1970 is no measure for a time")
    agent.clock.date = now
    backend.publish(["a": "2"], issued: now, expires: now + 30 * day)
    #expect(try await cycle() == "current")
  }

  @Test("In 1970 expiry is judged by the newest signed time, and the clock is said to be implausible, once")
  func flatBattery() async throws {
    let now = agent.clock.date
    backend.publish(["a": "1"], issued: now)
    #expect(try await cycle() == "current")
    agent.clock.date = Date(timeIntervalSince1970: 3600)
    backend.publish(["a": "2"], issued: now - 60 * day, expires: now - 30 * day)
    let log = LogRecord()
    let reconciler = try await agent.loop([backend], policy: backend.policy, log: log)
    for _ in 0..<3 { #expect(try await reconciler.runOnce().word == "rejected expired") }
    #expect(log.count(of: "clock implausible") == 1)
    agent.clock.date = now
    backend.publish(["a": "3"], issued: now)
    #expect(try await reconciler.runOnce().word == "current")
    #expect(log.count(of: "plausible again") == 1)
  }

  @Test("The day of the build is read from the compiler") func buildDate() throws {
    #expect(Verifier.day("Nov 25 2026") == Date(timeIntervalSince1970: 1_795_564_800 - 14 * 3600))
    #expect(Verifier.day("Feb  3 2027") != nil)
    #expect(Verifier.day("") == nil && Verifier.day("Foo 1 2026") == nil)
    #expect(Verifier.earliestPlausibleTime <= Date())
    #expect(Verifier.earliestPlausibleTime > Date(timeIntervalSince1970: 1_700_000_000))
  }
}
