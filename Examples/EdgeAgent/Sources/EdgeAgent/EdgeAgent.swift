public import DesiredState
import FoundationEssentials
public import Logging
import MargoDocuments
import SSHSignatures
public import ServiceLifecycle

/// The settings in the agent's configuration file; the README has an example.
public struct AgentConfiguration: Codable, Sendable {
  public var source, store, allowedSigners, device, services: String
  public var intervalSeconds: Double
  /// A command that is given the name of a component, and ends with 0 if that is healthy. None, and all are.
  public var healthCheck: [String]
  /// A file with the capabilities of this device (JSON), for deployments with eligibility rules. None, and they are not asked.
  public var capabilities: String?
}

/// Follows a source, and keeps a directory of services as it says.
public struct EdgeAgent: Service {
  public let reconciler: Reconciler

  public init(
    _ configuration: AgentConfiguration, registry: BackendRegistry, clock: any Clock<Duration> = ContinuousClock(),
    logger: Logger
  ) async throws {
    let context = BackendContext(device: configuration.device, logger: logger)
    let signers = try AllowedSigners(parsing: String(contentsOfFile: configuration.allowedSigners, encoding: .utf8))
    let capabilities = try configuration.capabilities.map {
      try DeviceCapabilities(parsing: Array(Data(contentsOf: URL(filePath: $0))))
    }
    let services = ServiceDirectory(
      root: URL(filePath: configuration.services), healthCheck: configuration.healthCheck, device: capabilities)
    reconciler = Reconciler(
      sources: [try registry.backend(for: configuration.source, context: context)],
      store: try await StateStore.open(configuration.store),
      configuration: .init(
        policy: .signatures(by: signers), device: configuration.device,
        schedule: Schedule(interval: .seconds(configuration.intervalSeconds)), logger: logger, clock: clock),
      observe: { if case .unavailable(let error) = $0.kind { logger.warning("\(error)") } },
      apply: services.apply)
  }

  /// Runs until the service group asks it to stop. Interrupted work is done again after the next start.
  public func run() async throws {
    await cancelWhenGracefulShutdown { await reconciler.run() }
    await reconciler.store.close()
  }
}
