/// Work that runs once at a time, for all who ask for it.
///
/// Who asks while it runs gets the result of a run that began after the question: one run serves all who wait for it.
/// A run that no caller waits for any more is cancelled.
package final class SharedWork<Value: Sendable>: Sendable {
  private final class Run: Sendable {
    struct State {
      var callers = 1
      var hasBegun = false
      var task: Task<Value, any Error>?
    }
    let state = LockedValue(State())

    func begin() { state.withLock { $0.hasBegun = true } }

    /// Whether another caller may wait for this run: it has not begun, and was not given up.
    func join() -> Bool {
      state.withLock { state in
        guard !state.hasBegun, state.callers > 0 else { return false }
        state.callers += 1
        return true
      }
    }

    /// Whether the caller that leaves was the last one.
    func leave() -> Bool {
      state.withLock { state in
        state.callers -= 1
        return state.callers == 0
      }
    }

    var task: Task<Value, any Error>? { state.withLock { $0.task } }
  }

  /// The run that was asked for last.
  private let last = LockedValue<Run?>(nil)

  package init() {}

  /// Whether a run is under way or about to be.
  package var isRunning: Bool { last.withLock { $0 != nil } }

  /// Waits for a run that begins after this call, and returns its result.
  ///
  /// - Throws: what the work throws; `CancellationError` if the caller is cancelled. The caller that leaves last waits
  ///   until the run has ended.
  package func run(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try Task.checkCancellation()
    let run = join(work)
    guard let task = run.task else { preconditionFailure("a run has its task before it can be joined") }
    let answer = Promise<Value>()
    Task { answer.give(await task.result) }
    do {
      return try await answer.value()
    } catch  where Task.isCancelled {
      if run.leave() {
        task.cancel()
        _ = await task.result
      }
      throw CancellationError()
    }
  }

  private func join(_ work: @escaping @Sendable () async throws -> Value) -> Run {
    last.withLock { last in
      if let last, last.join() { return last }
      let run = Run()
      let previous = last?.task
      let task = Task {
        _ = await previous?.result
        run.begin()
        defer { self.last.withLock { if $0 === run { $0 = nil } } }
        try Task.checkCancellation()
        return try await work()
      }
      run.state.withLock { $0.task = task }
      last = run
      return run
    }
  }
}
