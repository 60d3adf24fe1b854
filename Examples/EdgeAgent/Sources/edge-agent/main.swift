import DesiredState
import EdgeAgent
import FileBackend
import FoundationEssentials
import Glibc
import Logging
import ServiceLifecycle

LoggingSystem.bootstrap(StreamLogHandler.standardError(label:))
let logger = Logger(label: "edge-agent")
do {
  let file = CommandLine.arguments.dropFirst().first ?? "/etc/edge-agent.json"
  let configuration = try JSONDecoder().decode(AgentConfiguration.self, from: Data(contentsOf: URL(filePath: file)))
  var registry = BackendRegistry()
  FileBackend.register(in: &registry)
  let agent = try await EdgeAgent(configuration, registry: registry, logger: logger)
  try await ServiceGroup(services: [agent], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
} catch {
  logger.critical("\(error)")
  exit(1)
}
