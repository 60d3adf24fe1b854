public import DesiredState
import FoundationEssentials
import GRPCCore
import GRPCFleet

/// Desired state from a vendor's gRPC service: see `desired_state.proto`. It serves a drop's bytes, so trust is in
/// the signatures, as on every other road.
public struct GRPCBackend: DesiredStateBackend {
  public let source: String
  public let capabilities: BackendCapabilities = [.acknowledges, .hintsAtChanges, .resumes]
  private let channel: FleetChannel
  private let device: String

  /// Lets this backend serve `grpc://host:port/device` and, over TLS, `grpcs://host:port/device`.
  public static func register(in registry: inout BackendRegistry) {
    registry.register("grpc", settings: []) { address, _ in try GRPCBackend(address, isEncrypted: false) }
    registry.register("grpcs", settings: [BackendSetting.trustedAuthorities.key]) { address, context in
      try GRPCBackend(address, isEncrypted: true, authorities: context.settings[.trustedAuthorities])
    }
  }

  /// A backend for an address, which names the device as its path.
  ///
  /// - Parameters:
  ///   - address: where the service is; the port is 443 with TLS and 50051 without, unless it names another.
  ///   - isEncrypted: whether to speak TLS.
  ///   - authorities: a PEM file of the authorities that certify the service; nil: the system's.
  /// - Throws: `SourceAddressError` if it names no host or no device, or a user.
  public init(_ address: SourceAddress, isEncrypted: Bool, authorities: String? = nil) throws {
    guard let parts = URLComponents(string: "http:" + address.location), let host = parts.host, !host.isEmpty,
      parts.path.count > 1, parts.user == nil, parts.password == nil, address.query.isEmpty
    else {
      throw SourceAddressError("write a gRPC source as grpc://host:port/device, without a user and a query")
    }
    let port = parts.port ?? (isEncrypted ? 443 : 50051)
    channel = FleetChannel(
      host: host.filter { !"[]".contains($0) }, port: port, isEncrypted: isEncrypted, authorities: authorities)
    device = String(parts.path.dropFirst())
    source = "grpc\(isEncrypted ? "s" : "")://\(host):\(port)/\(device)"
  }

  /// Asks for the state; the service answers with a head alone if the device has it.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await withTimeout(request.timeout) {
      let ask = Plant_State_V1_GetRequest.with {
        $0.device = device
        $0.revision = request.current.map { "\($0)" } ?? ""
      }
      let answer = try await channel.call { [limits = request.limits] fleet, options in
        try await fleet.get(ask, options: options) { response in
          var answer = Answer()
          for try await part in response.messages { try answer.add(part, limits) }
          return answer
        }
      }
      guard let revision = answer.revision else {
        throw BackendError(.protocolViolation, "the fleet service answered without a head")
      }
      if revision.isEmpty {
        return .absent(.manifest, "\(source): the service has nothing for this device; check its name, or publish")
      }
      if revision == ask.revision { return FetchResult(.unchanged) }
      return FetchResult(
        .changed(
          FetchedState(
            manifest: answer.manifest, signatures: answer.signatures.isEmpty ? [] : [answer.signatures],
            origin: Origin(url: source),
            documents: GRPCDocuments(channel: channel, device: device, timeout: request.timeout))))
    }
  }

  private struct Answer: Sendable {
    var revision: String?
    var manifest: [UInt8] = []
    var signatures: [UInt8] = []

    mutating func add(_ part: Plant_State_V1_Part, _ limits: Limits) throws {
      switch part.part {
      case .head(let head): revision = head.revision
      case .manifest(let bytes): manifest += bytes
      case .signatures(let bytes): signatures += bytes
      case nil: break
      }
      if manifest.count > limits.manifestSize {
        throw VerificationError(.limitExceeded, "the manifest is over \(limits.manifestSize) bytes")
      }
      if signatures.count > limits.evidenceSize {
        throw VerificationError(.limitExceeded, "the signatures are over \(limits.evidenceSize) bytes")
      }
    }
  }

  /// Sends the receipt: the same one again changes nothing, and a newer one about the same subject takes its place.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    let receipt = try Receipt(acknowledgement)
    let message = Plant_State_V1_Receipt.with {
      $0.device = device
      $0.path = receipt.path
      $0.bytes = Data(receipt.bytes)
    }
    try await withTimeout(.seconds(30)) {
      _ = try await channel.call { fleet, options in try await fleet.acknowledge(message, options: options) }
    }
  }

  /// Hints when the service says so. It is asked again when its stream ends, and every ten minutes, because a connection can
  /// die without a sign.
  public func changeHints() -> AsyncStream<Void>? {
    let (hints, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let watching = Task { [channel, device] in
      while !Task.isCancelled {
        try? await withTimeout(.seconds(600)) {
          try await channel.call { fleet, options in
            try await fleet.watch(.with { $0.device = device }, options: options) { response in
              for try await _ in response.messages { continuation.yield() }
            }
          }
        }
        // Not all devices at once when the service is back.
        try? await Task.sleep(for: .seconds(.random(in: 1...5)))
      }
    }
    continuation.onTermination = { _ in watching.cancel() }
    return hints
  }
}
