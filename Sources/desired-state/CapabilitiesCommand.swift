import ArgumentParser
import DesiredState
import DesiredStateSupport
import MargoDocuments
import RESTBackend

struct CapabilitiesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capabilities",
    abstract: "Reports to a Margo fleet manager the capabilities of this device, or that it is gone.",
    subcommands: [Publish.self, Withdraw.self])

  struct Publish: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "publish", abstract: "Reports devices, a gateway before those behind it.",
      discussion: """
        Each FILE holds one object of capabilities, or an array of them (JSON). It is checked against the specification \
        before anything is sent. With --store it is durable first, and a running 'follow' sends it if the manager cannot \
        be reached now (exit status 4). 'follow --capabilities FILE' does the same by itself, whenever FILE changes.
        """)

    @OptionGroup var options: CapabilitiesOptions

    func run() async throws {
      let capabilities = try options.capabilities()
      for one in capabilities where !one.omissions.isEmpty {
        Output.complain(
          "\(one.id) hosts workloads and should report \(one.omissions.joined(separator: ", ")) as well")
      }
      try await options.deliver { try await $0.put(capabilities) }
    }
  }

  struct Withdraw: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "withdraw", abstract: "Says that devices are gone, those behind a gateway before it.",
      discussion: "Each FILE is one that was published; its ids count. With --store it is durable first.")

    @OptionGroup var options: CapabilitiesOptions

    func run() async throws {
      let devices = try options.capabilities().map(\.id)
      try await options.deliver { try await $0.withdraw(devices) }
    }
  }
}

struct CapabilitiesOptions: ParsableArguments {
  @Argument(help: "The fleet manager: margo+https://fleet.example.") var source: String
  @Argument(help: "Files of capabilities.") var files: [String]
  @Option(help: "The directory that 'follow' keeps.") var store: String?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object a line.") var json = false

  /// The contents of all files.
  func capabilities() throws -> [DeviceCapabilities] {
    var all: [DeviceCapabilities] = []
    for file in files {
      guard let bytes = (try? Files.read(file, limit: 1 << 20)) ?? nil else {
        throw ValidationError("\(printable(file)) cannot be read.")
      }
      do {
        all += try DeviceCapabilities.list(parsing: bytes)
      } catch {
        throw ValidationError("\(printable(file)): \(error.message)")
      }
    }
    return all
  }

  /// Puts something into the reports, and sends it.
  func deliver(_ put: (CapabilityReports) async throws -> Void) async throws {
    let output = Output(isJSON: json)
    let backend = try agent.backends(for: [source], over: transport)[0]
    guard let manager = backend as? MargoBackend else {
      throw ValidationError("\(printable(source)) is no Margo fleet manager; it takes no capabilities.")
    }
    try await reporting {
      // Without a store there is nothing that would send it later.
      let temporary = store == nil ? try Files.temporaryDirectory("capabilities") : nil
      defer { if let temporary { try? Files.remove(temporary) } }
      let reports = CapabilityReports(below: store.map(AgentOptions.recordDirectory) ?? temporary!)
      try await put(reports)
      let result: CapabilityReports.Delivery
      result = try await reports.deliver(to: manager, isForced: true, timeout: agent.timeout.duration)
      for (device, isWithdrawn) in result.taken {
        output.write(.capabilities(device, isWithdrawn ? "withdrawn" : "published", manager.source))
      }
      for (device, failure) in result.refused {
        var line = EventLine.capabilities(device, "refused", manager.source)
        (line.code, line.reason) = (failure.code.rawValue, Flags.added(to: failure.message))
        line.problem = failure.problemType
        output.write(line)
      }
      if let failure = result.failure {
        output.write(.unavailable(failure, source: manager.source))
        throw ExitCode.unavailable
      }
      if !result.refused.isEmpty { throw ExitCode.rejected }
    }
  }
}

extension EventLine {
  /// A device, and what became of its report.
  fileprivate static func capabilities(_ device: DeviceID, _ state: String, _ source: String) -> EventLine {
    var line = EventLine(event: "capabilities", source: source)
    (line.device, line.state) = (device.description, state)
    return line
  }
}
