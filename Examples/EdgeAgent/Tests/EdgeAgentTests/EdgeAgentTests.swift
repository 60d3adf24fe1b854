import DesiredState
import DesiredStateTesting
import EdgeAgent
import Foundation
import Glibc
import Logging
import ServiceLifecycle
import Testing

@Suite("An agent that keeps a directory of services", .timeLimit(.minutes(5)))
final class EdgeAgentTests: Sendable {
  /// Does not hint: whatever happens does so when the clock, or a test, says so.
  private let mock: MockBackend
  private let clock = VirtualClock()
  private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("agent-\(UUID().uuidString)")

  init() throws {
    mock = MockBackend(source: "mock:office", capabilities: .acknowledges, clock: clock)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try mock.signers[0].allowedSigner.write(to: path("allowed_signers"), atomically: true, encoding: .utf8)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  private func path(_ name: String) -> URL { directory.appendingPathComponent(name) }

  /// An agent whose health check fails for a component while a file of its name lies among the broken.
  private func agent(source: String = "mock:office") async throws -> EdgeAgent {
    let script = #"if [ -e "$0/$1" ]; then printf '%s does not answer' "$1" >&2; exit 1; fi"#
    var configuration: [String: any Sendable] = [
      "source": source, "store": path("store").path, "allowedSigners": path("allowed_signers").path,
      "device": "press-42",
      "services": path("services").path, "intervalSeconds": 600,
      "healthCheck": ["/bin/sh", "-c", script, path("broken").path],
    ]
    if FileManager.default.fileExists(atPath: path("capabilities").path) {
      configuration["capabilities"] = path("capabilities").path
    }
    let file = try JSONSerialization.data(withJSONObject: configuration)
    var registry = BackendRegistry()
    registry.register("mock") { [mock] _, _ in mock }
    var logger = Logger(label: "edge-agent")
    logger.logLevel = .critical
    return try await EdgeAgent(
      JSONDecoder().decode(AgentConfiguration.self, from: file), registry: registry, clock: clock, logger: logger)
  }

  /// One poll of the source, and what came of it.
  private func look(_ agent: EdgeAgent) async throws -> String {
    switch try await agent.reconciler.runOnce() {
    case .current: "current"
    case .absent: "absent"
    case .rejected(let error): "rejected \(error.code)"
    case .unavailable: "unavailable"
    case .applyFailed: "apply failed"
    case .held: "held"
    case .resting: "resting"
    }
  }

  private func breakComponent(_ name: String) throws {
    try FileManager.default.createDirectory(at: path("broken"), withIntermediateDirectories: true)
    try Data().write(to: path("broken").appendingPathComponent(name))
  }

  private func mend(_ name: String) throws {
    try FileManager.default.removeItem(at: path("broken").appendingPathComponent(name))
  }

  private func service(_ name: String) -> String? {
    try? String(contentsOf: path("services").appendingPathComponent(name), encoding: .utf8)
  }

  private static let line = #"{"components": ["camera", "filter"]}"#
  private static let oven = #"{"components": ["heater"], "celsius": 210}"#

  @Test("What is published becomes a directory of services, and each component is reported") func adoption()
    async throws
  {
    mock.publish(["line.json": Self.line, "hall-2/oven.json": Self.oven])
    #expect(try await look(agent()) == "current")
    #expect(service("line.json") == Self.line)
    #expect(service("hall-2%2Foven.json") == Self.oven)
    let status = mock.status(of: "line.json")
    #expect(status?.state == .installed)
    #expect(status?.components.map(\.name) == ["camera", "filter"])
    #expect(status?.components.map(\.state) == [.installed, .installed])
  }

  @Test("A component that is not healthy is reported with its error, keeps nobody else, and is looked at again")
  func unhealthy() async throws {
    try breakComponent("filter")
    mock.publish(["line.json": Self.line, "oven.json": Self.oven])
    let agent = try await agent()
    #expect(try await look(agent) == "apply failed")
    #expect(mock.status(of: "oven.json")?.state == .installed)
    let status = try #require(mock.status(of: "line.json"))
    #expect(status.state == .failed)
    #expect(status.components.map(\.state) == [.installed, .failed])
    #expect(status.error == .init(code: "unhealthy", source: "filter", message: "filter does not answer"))

    // Meanwhile the line to the office is cut: the adopted state is there without it.
    mock.becomeUnreachable()
    try mend("filter")
    #expect(try await look(agent) == "unavailable")
    mock.recover()
    #expect(try await look(agent) == "current")
    #expect(mock.status(of: "line.json")?.state == .installed)
    #expect(mock.status(of: "line.json")?.error == nil)
    #expect(mock.counts.documentsRead == 2)
  }

  @Test("A document that cannot be read is reported, and the others are installed") func malformed() async throws {
    mock.publish(["line.json": Self.line, "oven.json": "celsius: 210"])
    #expect(try await look(agent()) == "apply failed")
    #expect(mock.status(of: "oven.json")?.error?.code == "malformed")
    #expect(service("oven.json") == nil)
    #expect(mock.status(of: "line.json")?.state == .installed)
  }

  @Test("A Margo deployment is installed if the device can host it, and refused with what is lacking if not")
  func deployment() async throws {
    func deployment(memory: String) -> String {
      """
      apiVersion: application.margo.org/v1alpha1
      kind: ApplicationDeployment
      id: 0f0e8f5c-9f3a-4a7e-8d57-6f2f9d3f1a10
      metadata:
        annotations: { applicationId: oven }
        name: oven-deployment
        namespace: plant
      spec:
        deploymentProfile:
          type: compose
          components:
            - { name: heater, properties: { repository: "oci://registry.example/heater", revision: 1.0.0 } }
            - { name: door, properties: { repository: "oci://registry.example/door", revision: 1.0.0 } }
          deviceConstraints: { capacityRequirements: { memory: \(memory) } }
      """
    }
    let capabilities = """
      {"properties": {"id": "press-42", "vendor": "V", "modelNumber": "M", "serialNumber": "S", "memory": "8Gi",
       "supportedRuntimes": ["oci"], "supportedDeploymentTypes": ["compose"]}}
      """
    try capabilities.write(to: path("capabilities"), atomically: true, encoding: .utf8)
    mock.publish(["oven": deployment(memory: "4Gi")])
    let agent = try await agent()
    #expect(try await look(agent) == "current")
    #expect(mock.status(of: "oven")?.components.map(\.name) == ["heater", "door"])
    mock.publish(["oven": deployment(memory: "16Gi")], version: 7)
    #expect(try await look(agent) == "apply failed")
    let error = try #require(mock.status(of: "oven")?.error)
    #expect(error.code == "not-eligible" && error.source == "oven-deployment" && error.message.contains("16Gi"))
  }

  @Test("Only what a state no longer has is removed; a source that is gone or empty takes nothing away")
  func removal() async throws {
    mock.publish(["line.json": Self.line, "oven.json": Self.oven])
    let agent = try await agent()
    #expect(try await look(agent) == "current")
    mock.becomeUnreachable()
    #expect(try await look(agent) == "unavailable")
    mock.recover()
    mock.publishNothing()
    #expect(try await look(agent) == "absent")
    #expect(service("line.json") != nil && service("oven.json") != nil)

    mock.publish(["line.json": Self.line], version: 7)
    #expect(try await look(agent) == "current")
    #expect(service("line.json") != nil && service("oven.json") == nil)
    #expect(mock.status(of: "oven.json")?.state == .removed)
  }

  @Test("What a state left that never came to be healthy goes with the next one") func leftOver() async throws {
    try breakComponent("filter")
    mock.publish(["hall-2/line.json": Self.line])
    let agent = try await agent()
    #expect(try await look(agent) == "apply failed")
    mock.publish(["oven.json": Self.oven])
    #expect(try await look(agent) == "current")
    #expect(try FileManager.default.contentsOfDirectory(atPath: path("services").path) == ["oven.json"])
    #expect(mock.status(of: "hall-2/line.json")?.state == .removed)
  }

  @Test("What nobody trusted has signed is not adopted") func stranger() async throws {
    mock.publish(
      TestPublication(version: 1, documents: ["line.json": Array(Self.line.utf8)], signers: [TestSigner("stranger")]))
    #expect(try await look(agent()) == "rejected signer-untrusted")
    #expect(service("line.json") == nil)
  }

  @Test("As a service it looks at every interval, and SIGTERM ends it", .timeLimit(.minutes(5))) func service()
    async throws
  {
    let agent = try await agent()
    let group = ServiceGroup(
      services: [agent], gracefulShutdownSignals: [.sigterm], logger: Logger(label: "edge-agent"))
    let running = Task { try await group.run() }
    try await untilAgentWaits()
    #expect(mock.counts.fetches == 1)
    mock.publish(["line.json": Self.line])
    clock.advanceToNextWakeUp()
    try await untilAgentWaits()
    #expect(mock.counts.fetches == 2)
    // Work and delivery go on beside the polls.
    while mock.status(of: "line.json")?.state != .installed {
      try Task.checkCancellation()
      await Task.yield()
    }
    kill(getpid(), SIGTERM)
    try await running.value
    // The store was given up: the next agent can have it.
    _ = try await StateStore.open(path("store").path)
  }

  /// Until the agent sleeps for an interval; an alarm for a source that does not answer is due sooner.
  private func untilAgentWaits() async throws {
    while clock.nextWakeUp.map({ clock.now.duration(to: $0) < .seconds(500) }) ?? true {
      try Task.checkCancellation()
      await Task.yield()
    }
  }

  @Test("A source that nothing here serves is refused, with what is served") func unknownSource() async throws {
    let error = await #expect(throws: SourceAddressError.self) { try await agent(source: "ftp://office/line") }
    #expect(error?.description.contains("mock:") == true)
  }
}
