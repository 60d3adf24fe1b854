import DesiredStateSupport

/// What decides whether a fault strikes: the same decisions in the same order for the same seed.
final class Dice: Sendable {
  private let generator: LockedValue<SeededGenerator>

  init(seed: UInt64) { generator = LockedValue(SeededGenerator(seed: seed)) }

  func strikes(_ probability: Double) -> Bool {
    generator.withLock { $0.happens(withProbability: probability) }
  }

  func duration(in range: ClosedRange<Duration>) -> Duration {
    let fraction = generator.withLock { Double.random(in: 0...1, using: &$0) }
    return range.lowerBound + (range.upperBound - range.lowerBound) * fraction
  }

  func index(below count: Int) -> Int { generator.withLock { Int.random(in: 0..<count, using: &$0) } }
}
