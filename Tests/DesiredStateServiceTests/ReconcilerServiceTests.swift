import DesiredState
import DesiredStateService
import DesiredStateTesting
import Foundation
import Logging
import ServiceLifecycle
import Testing

@Suite("The loop as a service", .timeLimit(.minutes(5)))
struct ReconcilerServiceTests {
  @Test("A service group runs the loop, and ends it in good order") func group() async throws {
    let path = NSTemporaryDirectory() + "service-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let backend = MockBackend()
    backend.publish(["a": "1"])
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let reconciler = Reconciler(
      sources: [backend], store: try await StateStore.open(path),
      configuration: .init(policy: backend.policy, device: "press-42", logger: logger, clock: VirtualClock())
    ) { _ in }
    let events = reconciler.events()
    let group = ServiceGroup(
      configuration: .init(services: [.init(service: ReconcilerService(reconciler))], logger: logger))
    let run = Task { try await group.run() }
    for await event in events where event.name == "applied" { break }
    await group.triggerGracefulShutdown()
    try await run.value
    #expect(await reconciler.store.applied?.version == 1)
  }
}
