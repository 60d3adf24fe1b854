package import DesiredState
package import DesiredStateTesting
package import Synchronization

/// A store of its own, a virtual clock, and a record of everything that happened.
package final class Agent: Sendable {
  package let directory = TemporaryDirectory()
  package let clock = VirtualClock()
  package let events = Mutex<[ReconcilerEvent]>([])
  package let updates = Mutex<[Update]>([])
  /// Thrown by the handler while it is set.
  package let fault = Mutex<(any Error)?>(nil)

  package init() {}

  /// Where its store is.
  package var path: String { directory["store"] }

  package func reconciler(
    _ sources: [any DesiredStateBackend], policy: TrustPolicy, interval: Duration = .seconds(30), jitter: Double = 0
  ) async throws -> Reconciler {
    Reconciler(
      sources: sources, store: try await StateStore.open(path),
      configuration: .init(
        policy: policy, device: "press-42", schedule: Schedule(interval: interval, jitter: jitter), clock: clock,
        now: { [clock] in clock.date }, random: { 1 }),
      observe: { [self] event in events.withLock { $0.append(event) } }, apply: apply)
  }

  private func apply(_ update: Update) async throws {
    if let error = fault.withLock({ $0 }) { throw error }
    updates.withLock { $0.append(update) }
    try await update.report(
      (update.added + update.modified).map { DocumentStatus(documentID: $0.id, state: .installed) }
        + update.removed.map { DocumentStatus(documentID: $0.id, state: .removed) })
  }

  /// One cycle by a process that starts, looks once, and ends.
  package func cycle(_ sources: [any DesiredStateBackend], policy: TrustPolicy) async throws -> Reconciler.Outcome {
    let reconciler = try await reconciler(sources, policy: policy)
    let outcome = try await reconciler.runOnce()
    await reconciler.store.close()
    return outcome
  }
}
