import ArgumentParser
import Glibc
import Logging
import ReferenceServer
import ServiceLifecycle

@main
struct ReferenceServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reference-server",
    abstract: "A reference Margo fleet manager, for tests and demonstrations.",
    discussion: """
      DATA/clients/CLIENT/ holds the client's state: a drop, or a plain directory of documents. A client is \
      accepted if its directory is there. The admin API, with the switchboard of faults, is on 127.0.0.1 only.
      """)

  @Option(help: "The directory of everything.") var data: String
  @Option(help: "The address to serve on.") var host = "127.0.0.1"
  @Option(help: "The port to serve on; 0: a free one.") var port = 8080
  @Option(help: "The port of the admin API, on 127.0.0.1; 0: a free one.") var adminPort = 8081
  @Option(help: "The server's certificate chain (PEM).") var tlsCert: String?
  @Option(help: "The server's key (PEM).") var tlsKey: String?
  @Option(help: "Clients need a certificate of this authority (PEM).") var clientCA: String?
  @Flag(help: "Refuse requests of the client-id form that are not signed (RFC 9421).") var requireSignatures = false
  @Option(help: "Who a caller without a certificate is in the form of 1.0.0-rc.3.") var assumeClient: String?
  @Flag(help: "Do not onboard.") var noOnboarding = false
  @Option(help: "The root certificate to hand out to clients (PEM).") var rootCertificate: String?

  func validate() throws {
    guard (tlsCert == nil) == (tlsKey == nil) else { throw ValidationError("--tls-cert and --tls-key go together.") }
    guard clientCA == nil || tlsCert != nil else {
      throw ValidationError("--client-ca needs --tls-cert and --tls-key.")
    }
  }

  func run() async throws {
    var tls: ReferenceServerConfiguration.TLS?
    if let tlsCert, let tlsKey { tls = .init(certificateFile: tlsCert, keyFile: tlsKey, clientAuthorityFile: clientCA) }
    let logger = Logger(label: "reference-server") { StreamLogHandler.standardError(label: $0) }
    let server = try ReferenceServer(
      ReferenceServerConfiguration(
        dataDirectory: data, host: host, port: port, adminPort: adminPort, tls: tls,
        requiresSignatures: requireSignatures, assumedClient: assumeClient, allowsOnboarding: !noOnboarding,
        rootCertificateFile: rootCertificate),
      logger: logger,
      onReady: { [scheme = tls == nil ? "http" : "https", host, assumeClient] ports in
        let base = "\(scheme)://\(host):\(ports.api)"
        let client = assumeClient ?? "CLIENT"
        print(
          """
          The fleet manager serves \(base), its admin API http://127.0.0.1:\(ports.admin)/admin.
          Follow it from another terminal, in either form of the API:

            desired-state follow margo+\(base) --accept-unsigned --store /tmp/store --into /tmp/desired
            desired-state follow 'margo+\(base)?client=\(client)' --accept-unsigned --store /tmp/store2

          Change a document below clients/\(client), or let something go wrong:

            curl -X PUT -d '[{"fault": "wrong-digest"}]' http://127.0.0.1:\(ports.admin)/admin/faults
            curl http://127.0.0.1:\(ports.admin)/admin/statuses
          """)
        // Also where the output is a file or a pipe, which is written to only when there is much of it.
        fflush(nil)
      })
    try await ServiceGroup(
      configuration: .init(services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    ).run()
  }
}
