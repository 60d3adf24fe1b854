public import DesiredState
public import ServiceLifecycle

/// The loop as a service of swift-service-lifecycle: runs in a `ServiceGroup` beside an agent's other services, and ends
/// in good order when the group shuts down gracefully.
///
///     let group = ServiceGroup(
///       services: [ReconcilerService(reconciler)], gracefulShutdownSignals: [.sigterm], logger: logger)
///     try await group.run()
public struct ReconcilerService: Service {
  /// The loop that is run.
  public let reconciler: Reconciler

  /// A service that runs a loop.
  public init(_ reconciler: Reconciler) { self.reconciler = reconciler }

  /// Runs until the task is cancelled or the group shuts down; an apply that is under way is cancelled and waited for.
  public func run() async throws {
    await cancelWhenGracefulShutdown { await reconciler.run() }
  }
}
