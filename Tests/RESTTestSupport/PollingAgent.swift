package import DesiredState
import DesiredStateTesting
package import TestSupport

/// A device with a store of its own, which trusts `ops@plant.example`.
package final class PollingAgent: Sendable {
  package let directory = TemporaryDirectory()
  package let reconciler: Reconciler

  package init(_ sources: [any DesiredStateBackend], timeout: Duration = .seconds(30)) async throws {
    reconciler = Reconciler(
      sources: sources, store: try await StateStore.open(directory["store"]),
      configuration: .init(policy: TestSigner.policy([TestSigner()]), device: "press-42", timeout: timeout)
    ) { _ in }
  }
}
