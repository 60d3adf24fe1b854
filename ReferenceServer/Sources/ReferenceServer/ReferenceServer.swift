import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOSSL
public import ServiceLifecycle

/// A Margo workload fleet manager for tests and demonstrations, with both forms of the Workload Management API and a
/// switchboard of faults. Not for production: see the package's README.
public struct ReferenceServer: Service {
  /// Where a running server listens.
  public struct Ports: Sendable {
    public let api: Int
    public let admin: Int
  }

  private let configuration: ReferenceServerConfiguration
  private let logger: Logger
  private let onReady: @Sendable (Ports) -> Void
  let api: ManagementAPI
  let admin: AdminAPI
  private let tls: TLSConfiguration?

  /// - Parameter onReady: called once, when both ports take connections.
  /// - Throws: ``ReferenceServerError`` if a file of the configuration cannot be used.
  public init(
    _ configuration: ReferenceServerConfiguration, logger: Logger = Logger(label: "reference-server"),
    onReady: @escaping @Sendable (Ports) -> Void = { _ in }
  ) throws {
    self.configuration = configuration
    self.logger = logger
    self.onReady = onReady
    var manager: WorkloadIdentity?
    (tls, manager) = try configuration.tls.map { try Self.load($0) } ?? (nil, nil)
    let fleet = Fleet(dataDirectory: configuration.dataDirectory)
    let switchboard = Switchboard()
    let authenticator = Authenticator(configuration: configuration, manager: manager, fleet: fleet)
    api = ManagementAPI(
      authenticator: authenticator, fleet: fleet, switchboard: switchboard,
      onboarding: Onboarding(configuration: configuration, fleet: fleet))
    admin = AdminAPI(fleet: fleet, switchboard: switchboard)
  }

  /// Serves until the task is cancelled, or told to shut down gracefully.
  public func run() async throws {
    let ready = Ready(onReady)
    let server: HTTPServerBuilder = try tls.map { try .tls(.http1(), tlsConfiguration: $0) } ?? .http1()
    let api = Application(
      router: api.router, server: server,
      configuration: .init(address: .hostname(configuration.host, port: configuration.port), serverName: nil),
      onServerRunning: { ready.note(api: $0.localAddress?.port) }, logger: logger)
    let admin = Application(
      router: admin.router,
      configuration: .init(address: .hostname("127.0.0.1", port: configuration.adminPort), serverName: nil),
      onServerRunning: { ready.note(admin: $0.localAddress?.port) }, logger: logger)
    try await ServiceGroup(configuration: .init(services: [api, admin], logger: logger)).run()
  }

  private static func load(
    _ tls: ReferenceServerConfiguration.TLS
  ) throws -> (TLSConfiguration, WorkloadIdentity?) {
    let chain: [NIOSSLCertificate]
    let key: NIOSSLPrivateKey
    do {
      chain = try NIOSSLCertificate.fromPEMFile(tls.certificateFile)
      key = try NIOSSLPrivateKey(file: tls.keyFile, format: .pem)
    } catch {
      throw ReferenceServerError(
        "\(tls.certificateFile) and \(tls.keyFile) have to be a certificate chain and its key in PEM form")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    if let file = tls.clientAuthorityFile {
      guard (try? NIOSSLCertificate.fromPEMFile(file))?.isEmpty == false else {
        throw ReferenceServerError("\(file) has to hold the authority of client certificates in PEM form")
      }
      configuration.trustRoots = .file(file)
      // A client has no host name to check; who it is, is read from its certificate.
      configuration.certificateVerification = .noHostnameVerification
    }
    return (configuration, chain.first?.workloadIdentity)
  }

  /// Tells when both servers run.
  private final class Ready: Sendable {
    private let ports = NIOLockedValueBox<(api: Int?, admin: Int?)>((nil, nil))
    private let onReady: @Sendable (Ports) -> Void

    init(_ onReady: @escaping @Sendable (Ports) -> Void) { self.onReady = onReady }

    func note(api: Int? = nil, admin: Int? = nil) {
      let both: Ports? = ports.withLockedValue { ports in
        ports.api = api ?? ports.api
        ports.admin = admin ?? ports.admin
        guard let api = ports.api, let admin = ports.admin else { return nil }
        return Ports(api: api, admin: admin)
      }
      if let both { onReady(both) }
    }
  }
}
