import DesiredState
import DesiredStateSupport

/// A pack on its way, which may take longer than the poll that began it: then it goes on, and later polls wait for it.
///
/// So a first sync that is larger than one timeout comes to its end, whatever the server can do. It goes on only as long
/// as something comes.
final class Download: Sendable {
  /// After so long without a sign of life a line is taken for dead, unless a poll waits on it.
  static let longestSilence = Duration.seconds(10)

  private struct State {
    var lastSign = ContinuousClock.now
    var byteCount = 0
    var hasSigns = false
    /// Whether the poll that began it still waits: then it alone decides.
    var isWaitedFor = true
  }
  private let state = LockedValue(State())
  private let task = LockedValue<Task<Void, any Error>?>(nil)

  /// Notes a sign of life, and what came with it.
  func note(_ count: Int = 0) {
    state.withLock { state in
      state.lastSign = .now
      state.byteCount += count
      state.hasSigns = true
    }
  }

  var byteCount: Int { state.withLock { $0.byteCount } }

  /// Whether it is not worth to go on between polls.
  private var isSilent: Bool {
    state.withLock { !$0.hasSigns || ContinuousClock.now - $0.lastSign > Self.longestSilence }
  }

  private var isDead: Bool {
    state.withLock { !$0.isWaitedFor && ContinuousClock.now - $0.lastSign > Self.longestSilence }
  }

  func cancel() { task.withLock { $0?.cancel() } }

  /// Begins the work.
  func begin(_ work: @escaping @Sendable () async throws -> Void) { task.withLock { $0 = Task(operation: work) } }

  /// Waits for the end of the work that this poll began.
  ///
  /// - Parameter isPatient: whether it may go on when this poll is given up. It does not if it has fallen silent.
  /// - Throws: what the work throws; `CancellationError` when this poll is given up.
  func end(isPatient: Bool) async throws {
    defer { state.withLock { $0.isWaitedFor = false } }
    do {
      try await promise().value()
    } catch is CancellationError {
      if !isPatient || isSilent { cancel() }
      throw CancellationError()
    }
  }

  /// Waits until the work that an earlier poll began is over, or has fallen silent.
  ///
  /// - Throws: `CancellationError` when this poll is given up.
  func isOver() async throws {
    let over = Promise<Void>()
    let end = promise()
    let waiting = Task {
      _ = try? await end.value()
      over.give(.success(()))
    }
    let watchdog = Task { [self] in
      while !isDead {
        let rest = state.withLock { Self.longestSilence - (.now - $0.lastSign) }
        try await Task.sleep(for: max(rest, .milliseconds(250)))
      }
      cancel()
      over.give(.success(()))
    }
    defer {
      waiting.cancel()
      watchdog.cancel()
    }
    do {
      try await over.value()
    } catch {
      if isDead { cancel() }
      throw error
    }
  }

  private func promise() -> Promise<Void> {
    let promise = Promise<Void>()
    guard let task = task.withLock({ $0 }) else {
      promise.give(.success(()))
      return promise
    }
    Task { promise.give(await task.result) }
    return promise
  }
}
