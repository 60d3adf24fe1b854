import DesiredState
import EdgeAgent
import FileBackend
import FoundationEssentials
import Logging
import ServiceLifecycle

LoggingSystem.bootstrap(StreamLogHandler.standardError(label:))
let path = CommandLine.arguments.dropFirst().first ?? "/etc/edge-agent.json"
let configuration = try JSONDecoder().decode(AgentConfiguration.self, from: Data(contentsOf: URL(filePath: path)))
var registry = BackendRegistry()
FileBackend.register(in: &registry)
let logger = Logger(label: "edge-agent")
let agent = try await EdgeAgent(configuration, registry: registry, logger: logger)
try await ServiceGroup(services: [agent], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
