import DesiredStateTesting
import Testing

@testable import DesiredState

@Suite("A fleet")
struct FleetTests {
  /// The pauses of ten thousand devices, by the functions that the loop itself uses.
  @Test("Ten thousand devices come back after an outage at less than three times their usual rate") func recovery() {
    let schedule = Schedule(interval: .seconds(30))
    let outage = 1000.0..<4600.0
    var generator = SeededGenerator(seed: 15)
    var looks = [Int](repeating: 0, count: 7000)
    var reached = [Int](repeating: 0, count: 7000)
    for _ in 0..<10_000 {
      var time = Double.random(in: 0..<30, using: &generator)
      var attempts = Attempts()
      while time < 6990 {
        looks[Int(time)] += 1
        let now = Duration.seconds(time)
        if outage.contains(time) {
          attempts.fail(
            at: now, waiting: schedule.backoff(for: .waiting), random: Double.random(in: 0...1, using: &generator))
        } else {
          reached[Int(time)] += 1
          attempts.succeed()
        }
        let wait = max(schedule.wait(random: .random(in: 0...1, using: &generator)), attempts.notBefore - now)
        time += wait / .seconds(1)
      }
    }
    let steady = Double(looks[100..<900].reduce(0, +)) / 800
    #expect((330...337).contains(steady))
    let peak = reached[4600...].max() ?? 0
    print("fleet: \(Int(steady)) looks a second in steady state, \(peak) at most after the outage")
    #expect(Double(peak) < 3 * steady)
    // And the outage itself is easier on what is left of the server than the steady state.
    #expect(looks[2000..<4600].max().map { Double($0) < steady } ?? false)
    // Everyone is back within the longest backoff.
    #expect(Double(reached[4950..<4980].reduce(0, +)) > 0.9 * 10_000)
  }
}
