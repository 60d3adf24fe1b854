import CoreMetrics
import DesiredStateTesting
import Foundation
import MetricsTestKit
import TestSupport
import Testing

@testable import DesiredState

@Suite("Metrics", .timeLimit(.minutes(5)))
struct MetricsTests {
  let agent = Agent()
  let backend = MockBackend()
  let metrics = TestMetrics()

  private func total(_ label: String, _ dimensions: [(String, String)] = []) -> Int64? {
    (try? metrics.expectCounter(label, dimensions))?.values.reduce(0, +)
  }

  private func last(_ label: String) -> Double? { (try? metrics.expectMeter(label))?.lastValue }

  @Test("Polls, bytes, latency, refusals by code, the outbox's depth and staleness are counted") func counted()
    async throws
  {
    backend.publish(["a": "twelve bytes"], issued: agent.clock.date - 60)
    let reconciler = try await agent.loop([backend], policy: backend.policy) { [metrics] in $0.metrics = metrics }
    #expect(try await reconciler.runOnce().word == "current")
    #expect(total("desired_state_polls_total", [("outcome", "current")]) == 1)
    #expect(total("desired_state_fetched_bytes_total", [("kind", "document")]) == 12)
    #expect((total("desired_state_fetched_bytes_total", [("kind", "manifest")]) ?? 0) > 100)
    let latency = try metrics.expectTimer("desired_state_adoption_latency").lastValue
    #expect(latency == 60_000_000_000)
    #expect(last("desired_state_outbox_depth") == 0 && last("desired_state_staleness_seconds") == 0)

    backend.publish(["a": "2"], device: "another")
    backend.fail(.acknowledge, with: BackendError(.serverError, "no"))
    agent.clock.advance(by: .seconds(90))
    for _ in 0..<2 { #expect(try await reconciler.runOnce().word == "rejected wrong-device") }
    #expect(total("desired_state_polls_total", [("outcome", "rejected")]) == 2)
    #expect(total("desired_state_refusals_total", [("code", "wrong-device")]) == 1, "that it still is, is no news")
    #expect(last("desired_state_outbox_depth") == 1)
    #expect(last("desired_state_staleness_seconds") == 90)
  }
}
