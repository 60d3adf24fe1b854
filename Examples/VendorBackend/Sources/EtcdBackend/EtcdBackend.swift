public import DesiredState
import FoundationEssentials

/// Desired state from etcd, through its JSON gateway.
///
/// A drop under a prefix of keys, published in this order:
///
///     <prefix>/documents/<sha256 of the document, in hexadecimal>
///     <prefix>/signatures/<sha256 of the manifest>
///     <prefix>/manifest
///
/// and below `<prefix>/acknowledgements/` what each device has to say of it: see `Receipt`.
public struct EtcdBackend: DesiredStateBackend {
  public let source: String
  public let capabilities: BackendCapabilities = [.acknowledges, .hintsAtChanges]
  private let gateway: EtcdGateway
  private let prefix: String

  /// Lets this backend serve `etcd+http://host:port/prefix`.
  public static func register(in registry: inout BackendRegistry) {
    registry.register("etcd+http") { address, context in
      guard context.settings.isEmpty else {
        let names = context.settings.keys.sorted().joined(separator: ", ")
        throw BackendError(.unsupported, "an etcd+http source honours no settings; leave out \(names)")
      }
      return try EtcdBackend(address)
    }
  }

  /// A backend for an address; the port is etcd's 2379 unless it names another.
  ///
  /// - Throws: `SourceAddressError` if the address names no host or prefix, or something this backend does not honour.
  public init(_ address: SourceAddress) throws {
    guard let parts = URLComponents(string: "http:" + address.location), let host = parts.host, !host.isEmpty,
      parts.path.utf8.count > 1
    else { throw SourceAddressError("an etcd source is written etcd+http://host:port/prefix") }
    guard parts.user == nil, parts.password == nil, address.query.isEmpty else {
      throw SourceAddressError("an etcd+http address has neither a user nor a query here; leave them out")
    }
    gateway = EtcdGateway(host: host.trimming("[]"), port: parts.port ?? 2379)
    prefix = "/" + parts.path.trimming("/") + "/"
    source = "etcd+http://\(host):\(gateway.port)\(prefix)"
  }

  /// Looks at the manifest. If it was not written since the marker was given, its value is not read.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await within(request.timeout) {
      let key = prefix + "manifest"
      if let current = request.current, let marker = request.marker {
        guard let glance = try await gateway.entry(key, limit: nil) else { return .absent }
        if marker == Self.marker(glance, current) { return FetchResult(.unchanged, marker: marker) }
      }
      let limits = request.limits
      guard let manifest = try await gateway.entry(key, limit: EtcdDocuments.limit(limits.manifestSize)) else {
        return .absent
      }
      let revision = Revision(ofManifest: manifest.value)
      let marker = Self.marker(manifest, revision)
      guard revision != request.current else { return FetchResult(.unchanged, marker: marker) }
      let signatures = try await gateway.entry(
        "\(prefix)signatures/\(revision.digest.hexadecimal)", limit: EtcdDocuments.limit(limits.evidenceSize))
      let documents = EtcdDocuments(gateway: gateway, prefix: prefix, limits: limits, timeout: request.timeout)
      let state = FetchedState(
        manifest: manifest.value, signatures: signatures.map { [$0.value] } ?? [], documents: documents)
      return FetchResult(.changed(state), marker: marker)
    }
  }

  /// Which write made the manifest, and which manifest it was: a marker says nothing about any other revision.
  private static func marker(_ entry: EtcdGateway.Entry, _ revision: Revision) -> String {
    "\(entry.write) \(revision)"
  }

  /// Puts the receipt; the same one again is the same value, and a newer one about the same subject replaces it.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    let receipt = try Receipt(acknowledgement)
    try await within(.seconds(30)) { try await gateway.put(prefix + receipt.path, receipt.bytes) }
  }

  /// A hint whenever the manifest is written. The watch is renewed every ten minutes, because a connection may die
  /// without a sign, and whenever it ends; etcd speaks at each beginning, so what happened between is looked at.
  public func changeHints() -> AsyncStream<Void>? {
    let (hints, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let watching = Task { [gateway, key = prefix + "manifest"] in
      while !Task.isCancelled {
        try? await within(.seconds(600)) { try await gateway.watch(key) { continuation.yield() } }
        try? await Task.sleep(for: .seconds(.random(in: 1...10)))
      }
    }
    continuation.onTermination = { _ in watching.cancel() }
    return hints
  }
}

/// The documents of one state. etcd answers a value as a whole, so that one is held in memory while it is handed on.
struct EtcdDocuments: DocumentReader {
  let gateway: EtcdGateway
  let prefix: String
  let limits: Limits
  let timeout: Duration

  /// etcd refuses requests over 1.5 MiB unless told otherwise; a value of several is none of etcd's, whatever is allowed.
  static func limit(_ allowed: Int) -> Int { min(allowed, 16 << 20) }

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let limit = Self.limit(Int(clamping: limits.documentSize))
    let entry = try await within(timeout) { try await gateway.entry(key(of: document), limit: limit) }
    guard let bytes = entry?.value else {
      throw VerificationError(.documentMissing, "etcd has no document \(document.digest) under \(prefix) (yet)")
    }
    return AsyncThrowingStream { pieces in
      for start in stride(from: 0, to: bytes.count, by: 256 << 10) {
        pieces.yield(Array(bytes[start..<min(start + 256 << 10, bytes.count)]))
      }
      pieces.finish()
    }
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    try? await within(timeout) { try await gateway.entry(key(of: document), limit: nil)?.write }
  }

  private func key(of document: DocumentReference) -> String { "\(prefix)documents/\(document.digest.hexadecimal)" }
}

/// Runs work that heeds cancellation for at most `limit`.
private func within<Value: Sendable>(
  _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    group.addTask { try await work() }
    group.addTask {
      try await Task.sleep(for: limit)
      throw BackendError(.timeout, "etcd did not answer within \(limit)")
    }
    defer { group.cancelAll() }
    for try await value in group { return value }
    throw CancellationError()
  }
}

extension String {
  fileprivate func trimming(_ characters: String) -> String {
    String(drop { characters.contains($0) }.reversed().drop { characters.contains($0) }.reversed())
  }
}
