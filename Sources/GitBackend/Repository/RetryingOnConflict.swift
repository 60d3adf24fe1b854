import DesiredState

/// Moves a branch that others move as well: tries until it is moved.
///
/// Trying at once on top of what another client made of it would only meet the same ones again, so each waits for a time
/// of its own, at most a third of a second.
///
/// - Parameter attempt: returns whether there is nothing more to do; false if another client was first.
/// - Throws: what `attempt` throws; ``BackendError`` with `busy` if the others are always first; `CancellationError`.
func retryingOnConflict(_ reference: String, of source: String, _ attempt: () async throws -> Bool) async throws {
  for number in 0..<16 {
    if try await attempt() { return }
    try await Task.sleep(for: .milliseconds(Int.random(in: 1...(10 << min(number, 5)))))
  }
  throw BackendError(.busy, "\(reference) of \(source) is being changed by others all the time; try again later")
}
