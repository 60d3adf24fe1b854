import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials
import HTTPBackendSupport
import HTTPMessageSignatures
import RESTBackend

struct OnboardCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "onboard",
    abstract: "Onboards this device at a Margo fleet manager of the client-id form, and prints the client's id.",
    discussion: """
      The id then goes into the source: margo+https://fleet.example?client=ID, with --request-key. Versions belong to one \
      client of one manager: a device that was another's before is onboarded with --store, or is reset.
      """)

  @Argument(help: "The fleet manager: margo+https://fleet.example.") var source: String
  @Option(help: ArgumentHelp("This device's X.509 certificate (PEM).", valueName: "file")) var certificate: String
  @Option(
    help: """
      The store of a device that moves to this manager: its version sequence begins anew, as one that is reset. Without it \
      a lower version than the last manager's is refused as a rollback.
      """) var store: String?
  @Option(
    help: ArgumentHelp(
      "Write the manager's root certificate there first (PEM), for --tls-ca later. It is as trustworthy as the connection it comes over.",
      valueName: "file")) var rootCertificate: String?
  @OptionGroup var transport: TransportOptions
  @OptionGroup var agent: AgentOptions
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard transport.requestKey != nil else {
      throw ValidationError("--request-key is needed: the private key of --certificate (PEM).")
    }
  }

  func run() async throws {
    let output = Output(isJSON: json)
    do {
      let address = try SourceAddress(source)
      guard ["margo+https", "margo+http"].contains(address.scheme) else {
        throw SourceAddressError("only a fleet manager onboards: margo+https://…")
      }
      let base = address.scheme.dropFirst("margo+".count) + ":" + address.location
      guard let pem = (try? Files.read(certificate, limit: 1 << 20)) ?? nil else {
        throw SourceAddressError("--certificate: \(certificate) cannot be read")
      }
      if let rootCertificate {
        let root = try await MargoBackend.rootCertificate(
          base: base, transport: try TransportSettings.transport(transport.settings, to: base),
          allowsPlainHTTP: transport.insecureHttp, timeout: agent.timeout.duration)
        try await reporting { try Files.replace(rootCertificate, with: Array(root.utf8), mode: 0o644) }
      }
      let id = try await MargoBackend.onboard(
        base: base, certificate: String(decoding: pem, as: UTF8.self),
        key: try TransportSettings.requestKey(transport.settings)!.key,
        transport: try TransportSettings.transport(transport.settings, to: base),
        allowsPlainHTTP: transport.insecureHttp, timeout: agent.timeout.duration)
      if let store {
        try await reporting {
          let request = StoreRequest.reset(StateStore.Reset(floor: 0, refusals: true))
          _ = try await request.perform(onStore: store, at: Date())
        }
      }
      Output.line(json ? try JSON.line(["clientId": id]) : printable(id))
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    } catch let error as BackendError {
      output.write(.unavailable(error, source: source))
      throw ExitCode.unavailable
    }
  }
}
