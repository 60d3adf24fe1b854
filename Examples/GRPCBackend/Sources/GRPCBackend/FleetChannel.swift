import DesiredState
import GRPCCore
import GRPCFleet
import GRPCNIOTransportHTTP2Posix
import NIOConcurrencyHelpers

/// The connection to the service, made when it is first needed and kept. After a failure it is made anew: gRPC's own waits
/// longer and longer, and the loop has a wait of its own.
final class FleetChannel: Sendable {
  typealias Client = GRPCClient<HTTP2ClientTransport.Posix>
  typealias Fleet = Plant_State_V1_Fleet.Client<HTTP2ClientTransport.Posix>

  private struct Open {
    let client: Client
    let running: Task<Void, Never>
  }

  let host: String
  let port: Int
  private let authorities: String?
  private let isEncrypted: Bool
  private let open = NIOLockedValueBox<Open?>(nil)

  init(host: String, port: Int, isEncrypted: Bool, authorities: String?) {
    self.host = host
    self.port = port
    self.isEncrypted = isEncrypted
    self.authorities = authorities
  }

  deinit { close(open.withLockedValue { $0.take() }) }

  /// A message of a stream is a piece of at most 64 kB.
  private static let options: CallOptions = {
    var options = CallOptions.defaults
    options.waitForReady = false
    options.maxResponseMessageBytes = 1 << 20
    return options
  }()

  /// Calls the service, and gives its errors the contract's names.
  func call<Result: Sendable>(
    _ body: @Sendable (Fleet, CallOptions) async throws -> Result
  ) async throws -> Result {
    let client: Client
    do { client = try connected() } catch {
      throw BackendError(.unreachable, "the trusted authorities cannot be read", underlying: error)
    }
    do {
      return try await body(Fleet(wrapping: client), Self.options)
    } catch {
      // The error of a cancelled call depends on where it waited.
      try Task.checkCancellation()
      guard let error = error as? RPCError else { throw error }
      if error.code == .unavailable { renew(client) }
      throw BackendError(error, of: "\(host):\(port)")
    }
  }

  private func connected() throws -> Client {
    try open.withLockedValue { open in
      if let open { return open.client }
      var security = HTTP2ClientTransport.Posix.TransportSecurity.plaintext
      if isEncrypted {
        security = .tls { [authorities] tls in
          if let authorities { tls.trustRoots = .certificates([.file(path: authorities, format: .pem)]) }
        }
      }
      let isAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
      let target: any ResolvableTarget =
        !isAddress
        ? .dns(host: host, port: port)
        : host.contains(":") ? .ipv6(address: host, port: port) : .ipv4(address: host, port: port)
      let client = Client(transport: try .http2NIOPosix(target: target, transportSecurity: security))
      open = Open(client: client, running: Task { try? await client.runConnections() })
      return client
    }
  }

  /// Lets the next call make a connection of its own.
  private func renew(_ failed: Client) {
    close(open.withLockedValue { $0.take() })
  }

  private func close(_ open: Open?) {
    open?.client.beginGracefulShutdown()
    open?.running.cancel()
  }
}

extension BackendError {
  /// The status of a call (https://grpc.io/docs/guides/status-codes/). A server asks for patience by the trailer
  /// `grpc-retry-pushback-ms`.
  init(_ error: RPCError, of service: String) {
    let cause = error.cause.map { "\($0)" } ?? ""
    let code: Code =
      switch error.code {
      case .unavailable where cause.contains("CERTIFICATE_VERIFY_FAILED"): .tlsUntrusted
      case .unavailable:
        Array(error.metadata[stringValues: "grpc-retry-pushback-ms"]).isEmpty ? .unreachable : .serverError
      case .deadlineExceeded: .timeout
      case .unauthenticated: .unauthorized
      case .permissionDenied: .forbidden
      case .resourceExhausted: .rateLimited
      case .unimplemented, .dataLoss, .outOfRange: .protocolViolation
      default: .serverError
      }
    var wait: Duration?
    for text in error.metadata[stringValues: "grpc-retry-pushback-ms"] {
      if let milliseconds = Int(text), milliseconds >= 0 { wait = .milliseconds(milliseconds) }
    }
    self.init(
      code, "the fleet service at \(service) answered \(error.code): \(error.message)", retryAfter: wait,
      underlying: error)
  }
}
