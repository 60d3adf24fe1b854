import DesiredStateSupport
public import FoundationEssentials

/// A clock that stands still until a test moves it: no test sleeps, and every schedule is over in an instant.
///
/// It is a `Clock` of `Duration`s for whatever sleeps, and a wall clock (``date``) for whatever asks what time it is.
///
///     let clock = VirtualClock()
///     let loop = Task { try await agent.run(clock: clock) }
///     try await clock.waitForSleepers()      // the agent waits for its next poll
///     clock.advance(by: .seconds(30))        // and now it looks
public final class VirtualClock: Clock, Sendable {
  /// A point in virtual time: how long after the clock was made.
  public struct Instant: InstantProtocol {
    /// The time since the clock was made.
    public var offset: Duration

    /// The point that long after the clock was made.
    public init(offset: Duration) { self.offset = offset }

    /// The point that much later.
    public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
    /// The time from this point to another.
    public func duration(to other: Instant) -> Duration { other.offset - offset }
    public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  private struct Sleeper {
    var deadline: Instant
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct Watcher {
    var count: Int
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now = Instant(offset: .zero)
    var epoch: Date
    var nextID = 0
    var sleepers: [Int: Sleeper] = [:]
    var watchers: [Int: Watcher] = [:]
    // A task may be cancelled before its continuation is there; its id is put here then.
    var cancelled: Set<Int> = []

    mutating func newID() -> Int {
      nextID += 1
      return nextID
    }
  }

  private let state: LockedValue<State>

  /// A clock whose wall-clock time starts at `date`, 2027-01-01T00:00:00Z unless another is given.
  public init(date: Date = Date(timeIntervalSince1970: 1_798_761_600)) {
    state = LockedValue(State(epoch: date))
  }

  /// The current point in virtual time.
  public var now: Instant { state.withLock { $0.now } }

  /// Virtual time has no grain.
  public var minimumResolution: Duration { .zero }

  /// The wall-clock time: moves with ``advance(by:)``, and jumps when set, as a real one does when it is corrected.
  /// Sleepers do not notice a jump.
  public var date: Date {
    get { state.withLock { $0.epoch.addingTimeInterval($0.now.offset.seconds) } }
    set { state.withLock { $0.epoch = newValue.addingTimeInterval(-$0.now.offset.seconds) } }
  }

  /// How many sleep right now.
  public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

  /// When the next sleeper wakes; nil without a sleeper.
  public var nextWakeUp: Instant? { state.withLock { $0.sleepers.values.map(\.deadline).min() } }

  /// Sleeps until the clock has been moved to `deadline`.
  ///
  /// - Throws: `CancellationError` as soon as the task is cancelled.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    let id = state.withLock { $0.newID() }
    defer { state.withLock { _ = $0.cancelled.remove(id) } }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enter(id, continuation) { state in
          guard deadline > state.now else { return false }
          state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
          return true
        }
      }
    } onCancel: {
      cancel(id)
    }
  }

  /// Waits until at least `count` sleep on this clock: the tested code has come to its next pause.
  ///
  /// - Throws: `CancellationError` if the waiting task is cancelled, by a test's time limit for instance.
  public func waitForSleepers(_ count: Int = 1) async throws {
    let id = state.withLock { $0.newID() }
    defer { state.withLock { _ = $0.cancelled.remove(id) } }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enter(id, continuation) { state in
          guard state.sleepers.count < count else { return false }
          state.watchers[id] = Watcher(count: count, continuation: continuation)
          return true
        }
      }
    } onCancel: {
      cancel(id)
    }
  }

  /// Moves the clock and wakes every sleeper whose time has come, in the order of their deadlines.
  ///
  /// A task that sleeps again after waking counts from the new time. To pass through several sleeps of one task, advance
  /// several times, with ``waitForSleepers(_:)`` between.
  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "a clock does not run backwards; set date to correct the wall clock")
    let woken = state.withLock { state in
      state.now = state.now.advanced(by: duration)
      let now = state.now
      let due = state.sleepers.filter { $0.value.deadline <= now }
        .sorted { ($0.value.deadline, $0.key) < ($1.value.deadline, $1.key) }
      for (id, _) in due { state.sleepers[id] = nil }
      return due.map(\.value.continuation)
    }
    for continuation in woken { continuation.resume() }
  }

  /// Moves the clock to when the next sleeper wakes, and wakes it.
  ///
  /// - Returns: how far the clock was moved; nil without a sleeper, and the clock stands where it was.
  @discardableResult public func advanceToNextWakeUp() -> Duration? {
    guard let next = nextWakeUp else { return nil }
    let step = max(.zero, now.duration(to: next))
    advance(by: step)
    return step
  }

  /// Adds a waiting task, or resumes at once: with an error if cancelled already, without one if there is nothing to
  /// wait for (`wait` returns false then).
  private func enter(
    _ id: Int, _ continuation: CheckedContinuation<Void, any Error>, _ wait: (inout State) -> Bool
  ) {
    enum Next {
      case resume
      case cancel
      case wait([CheckedContinuation<Void, any Error>])
    }
    let next = state.withLock { state -> Next in
      if state.cancelled.remove(id) != nil { return .cancel }
      guard wait(&state) else { return .resume }
      let count = state.sleepers.count
      let satisfied = state.watchers.filter { $0.value.count <= count }
      for (id, _) in satisfied { state.watchers[id] = nil }
      return .wait(satisfied.map(\.value.continuation))
    }
    switch next {
    case .resume: continuation.resume()
    case .cancel: continuation.resume(throwing: CancellationError())
    case .wait(let watchers): for watcher in watchers { watcher.resume() }
    }
  }

  private func cancel(_ id: Int) {
    let continuation = state.withLock { state -> CheckedContinuation<Void, any Error>? in
      if let sleeper = state.sleepers.removeValue(forKey: id) { return sleeper.continuation }
      if let watcher = state.watchers.removeValue(forKey: id) { return watcher.continuation }
      state.cancelled.insert(id)
      return nil
    }
    continuation?.resume(throwing: CancellationError())
  }
}

extension Duration {
  /// In seconds, as `Date` counts them.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
