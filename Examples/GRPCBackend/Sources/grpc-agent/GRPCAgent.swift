import ArgumentParser
import DesiredState
import FoundationEssentials
import GRPCBackend
import Glibc

/// A device that follows a gRPC service: the vendor's agent, as small as it can be. It takes the options of `desired-state
/// follow` that the comparison needs.
@main
struct GRPCAgent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "grpc-agent")

  // So that the two programs are started alike.
  @Argument(help: "follow") var command: String
  @Argument(help: "grpc://host:port/device, or grpcs:") var source: String
  @Option(help: "The directory that keeps the adopted state.") var store: String
  @Option(help: "Keep each document there, as a file named by its id.") var into: String?
  @Option(help: "Trust signatures by the keys in this allowed_signers file.") var trust: String
  @Option(help: "This device's name.") var device: String
  @Option(help: "Believe only servers certified by these authorities (PEM).") var tlsCA: String?
  @Option(help: "The time between polls, such as 500ms or 30s.") var interval = "30s"
  @Option(help: "How far each interval may be off.") var jitter = 0.1
  @Option(help: "Make the first poll after a part of this time.") var startSpread = "0s"
  @Flag(help: "Look once.") var once = false
  @Flag(help: "Send acknowledgements.") var acknowledge = false
  @Flag(help: "Print events as JSON.") var json = false

  func run() async throws {
    let context = BackendContext(device: device, settings: BackendSettings { $0[.trustedAuthorities] = tlsCA })
    var registry = BackendRegistry()
    GRPCBackend.register(in: &registry)
    let backend = try registry.backend(for: source, context: context)
    let reconciler = Reconciler(
      sources: [backend], acknowledgingTo: acknowledge ? nil : [], store: try await StateStore.open(store),
      configuration: .init(
        policy: .signatures(by: try await AllowedSigners.read(trust)), device: device,
        schedule: Schedule(interval: try duration(interval), jitter: jitter)),
      observe: { event in
        let code = event.code.map { ",\"code\":\"\($0)\"" } ?? ""
        print("{\"event\":\"\(event.name)\"\(code)}")
        fflush(nil)
      },
      apply: { [into] update in
        guard let into else { return }
        let folder = URL(filePath: into)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for document in update.added + update.modified {
          try Data(try await document.contents()).write(to: folder.appending(path: document.id), options: .atomic)
        }
        for document in update.removed { try FileManager.default.removeItem(at: folder.appending(path: document.id)) }
      })
    guard once else { return await reconciler.run() }
    switch try await reconciler.runOnce() {
    case .current: break
    case .rejected: throw ExitCode(3)
    case .unavailable: throw ExitCode(4)
    case .absent: throw ExitCode(5)
    default: throw ExitCode.failure
    }
  }

  private func duration(_ text: String) throws -> Duration {
    if text.hasSuffix("ms"), let count = Int(text.dropLast(2)) { return .milliseconds(count) }
    if text.hasSuffix("s"), let count = Int(text.dropLast(1)) { return .seconds(count) }
    throw ValidationError("write a time as 500ms or 30s")
  }
}
