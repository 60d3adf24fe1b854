import DesiredStateTesting
import FoundationEssentials
import Synchronization
import Testing

@Suite struct VirtualClockTests {
  let clock = VirtualClock()

  @Test func `a sleeper sleeps until the clock has been moved far enough`() async throws {
    let woken = Mutex(false)
    let sleeper = Task { [clock] in
      try await clock.sleep(for: .seconds(10))
      woken.withLock { $0 = true }
    }
    try await clock.waitForSleepers()
    clock.advance(by: .seconds(9))
    #expect(clock.sleeperCount == 1)
    #expect(!woken.withLock { $0 })
    clock.advance(by: .seconds(1))
    try await sleeper.value
    #expect(woken.withLock { $0 })
    #expect(clock.sleeperCount == 0)
  }

  @Test func `whoever sleeps until a time that has passed does not sleep`() async throws {
    clock.advance(by: .seconds(5))
    try await clock.sleep(until: .init(offset: .seconds(5)))
    try await clock.sleep(for: .zero)
  }

  @Test func `cancelling ends a sleep at once`() async throws {
    let sleeper = Task { [clock] in try await clock.sleep(for: .seconds(10)) }
    try await clock.waitForSleepers()
    sleeper.cancel()
    await #expect(throws: CancellationError.self) { try await sleeper.value }
    #expect(clock.sleeperCount == 0)
  }

  @Test func `a sleep that begins cancelled does not begin`() async throws {
    let sleeper = Task { [clock] in
      withUnsafeCurrentTask { $0?.cancel() }
      try await clock.sleep(for: .seconds(10))
    }
    await #expect(throws: CancellationError.self) { try await sleeper.value }
    #expect(clock.sleeperCount == 0)
  }

  @Test func `cancelling ends the wait for sleepers`() async throws {
    let waiter = Task { [clock] in try await clock.waitForSleepers(2) }
    waiter.cancel()
    await #expect(throws: CancellationError.self) { try await waiter.value }
  }

  @Test func `several sleepers are waited for and woken in the order of their deadlines`() async throws {
    let order = Order()
    let sleepers = [3, 1, 2].map { seconds in
      Task { [clock] in
        try await clock.sleep(for: .seconds(seconds))
        order.values.withLock { $0.append(seconds) }
      }
    }
    try await clock.waitForSleepers(3)
    for expected in [[1], [1, 2], [1, 2, 3]] {
      #expect(clock.advanceToNextWakeUp() == .seconds(1))
      try await sleepers[[1, 2, 0][expected.count - 1]].value
      #expect(order.values.withLock { $0 } == expected)
    }
    #expect(clock.advanceToNextWakeUp() == nil)
  }

  @Test func `the wall clock moves along and can be set without waking anybody`() async throws {
    let clock = VirtualClock(date: Date(timeIntervalSince1970: 1000))
    let sleeper = Task { try await clock.sleep(for: .seconds(100)) }
    try await clock.waitForSleepers()
    clock.advance(by: .milliseconds(1500))
    #expect(clock.date == Date(timeIntervalSince1970: 1001.5))
    clock.date = Date(timeIntervalSince1970: 0)
    #expect(clock.sleeperCount == 1)
    clock.advance(by: .seconds(10))
    #expect(clock.date == Date(timeIntervalSince1970: 10))
    #expect(clock.now.offset == .milliseconds(11500))
    sleeper.cancel()
  }

  @Test func `random numbers are the same for the same seed`() {
    var first = SeededGenerator(seed: 7)
    var second = SeededGenerator(seed: 7)
    #expect(first.bytes(count: 101) == second.bytes(count: 101))
    #expect(first.next() == second.next())
    var other = SeededGenerator(seed: 8)
    #expect(first.next() != other.next())
    let (never, always) = (first.happens(withProbability: 0), first.happens(withProbability: 1))
    #expect(!never && always)
  }

  private final class Order: Sendable {
    let values = Mutex<[Int]>([])
  }
}
