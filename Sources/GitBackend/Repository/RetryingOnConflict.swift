import DesiredState

/// Moving a branch that others move as well.
enum Contention {
  /// Tries until the branch is moved: again at once on top of what somebody else made of it would only meet the same ones
  /// again, so everybody waits for a time of their own, at most a third of a second.
  ///
  /// - Parameter attempt: returns whether there is nothing more to do; false if somebody else was first.
  /// - Throws: what `attempt` throws; ``BackendError`` with `busy` if the others are always first; `CancellationError`.
  static func untilMoved(
    _ reference: String, of source: String, _ attempt: () async throws -> Bool
  ) async throws {
    for number in 0..<16 {
      if try await attempt() { return }
      try await Task.sleep(for: .milliseconds(Int.random(in: 1...(10 << min(number, 5)))))
    }
    throw BackendError(.busy, "\(reference) of \(source) is being changed by others all the time; try again later")
  }
}
