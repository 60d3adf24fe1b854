import GRPCCore
import GRPCNIOTransportHTTP2Posix

/// The service on a port.
public struct FleetServer: Sendable {
  private let server: GRPCServer<HTTP2ServerTransport.Posix>

  /// - Parameters:
  ///   - host: the address to serve on.
  ///   - port: the port; 0: a free one.
  ///   - certificate: a PEM file with the certificate chain; nil: in the clear.
  ///   - key: the PEM file with its key.
  public init(_ service: FleetService, host: String, port: Int, certificate: String? = nil, key: String? = nil) {
    var security = HTTP2ServerTransport.Posix.TransportSecurity.plaintext
    if let certificate, let key {
      security = .tls(
        certificateChain: [.file(path: certificate, format: .pem)], privateKey: .file(path: key, format: .pem)
      ) { $0.requireALPN = true }
    }
    server = GRPCServer(
      transport: .http2NIOPosix(address: .ipv4(host: host, port: port), transportSecurity: security),
      services: [service])
  }

  /// Serves until its task is cancelled.
  public func serve() async throws { try await server.serve() }

  /// Its port, once it listens.
  public func port() async throws -> Int { try await server.listeningAddress?.ipv4?.port ?? 0 }
}
