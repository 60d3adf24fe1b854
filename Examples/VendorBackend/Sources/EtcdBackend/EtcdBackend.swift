public import DesiredState
import FoundationEssentials

/// Desired state from etcd: a drop under a prefix of keys, each named as the file of a drop is: see `DropLayout`.
///
/// A device's receipts are put below `<prefix>/acknowledgements/`: see `Receipt`.
public struct EtcdBackend: DesiredStateBackend {
  public let source: String
  public let capabilities: BackendCapabilities = [.acknowledges, .hintsAtChanges]
  private let gateway: EtcdGateway
  private let prefix: String

  /// Lets this backend serve `etcd+http://host:port/prefix`.
  public static func register(in registry: inout BackendRegistry) {
    registry.register("etcd+http", settings: []) { address, _ in try EtcdBackend(address) }
  }

  /// A backend for an address; the port is etcd's own, 2379, unless it names another.
  ///
  /// - Throws: `SourceAddressError` if it names no host or no prefix, or a user, which this backend cannot log in.
  public init(_ address: SourceAddress) throws {
    guard let parts = URLComponents(string: "http:" + address.location), let host = parts.host, !host.isEmpty,
      parts.path.hasPrefix("/"), parts.path != "/", parts.user == nil, parts.password == nil, address.query.isEmpty
    else {
      throw SourceAddressError("write an etcd source as etcd+http://host:port/prefix, without a user and a query")
    }
    gateway = EtcdGateway(host: host.filter { !"[]".contains($0) }, port: parts.port ?? 2379)
    prefix = parts.path.hasSuffix("/") ? parts.path : parts.path + "/"
    source = "etcd+http://\(host):\(gateway.port)\(prefix)"
  }

  /// Looks at the manifest; if no write has changed it since the marker was given, without reading it. (A cluster made
  /// anew must have a token of its own, as etcd asks, or its writes look like those of the one before.)
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await withTimeout(request.timeout) {
      let key = prefix + DropLayout.manifest
      if let current = request.current, let marker = request.marker {
        guard let entry = try await gateway.entry(key, limit: nil) else { return absent(key) }
        if marker == "\(current) \(entry.write)" { return FetchResult(.unchanged, marker: marker) }
      }
      guard let manifest = try await gateway.entry(key, limit: request.limits.manifestSize) else {
        return absent(key)
      }
      let revision = Revision(ofManifest: manifest.value)
      let marker = "\(revision) \(manifest.write)"
      guard revision != request.current else { return FetchResult(.unchanged, marker: marker) }
      let signatures = try await gateway.entry(
        prefix + DropLayout.signatures(of: revision), limit: request.limits.evidenceSize)
      let state = FetchedState(
        manifest: manifest.value, signatures: signatures.map { [$0.value] } ?? [],
        origin: Origin(url: source + DropLayout.manifest, entityTag: "\(manifest.write)"),
        documents: EtcdDocuments(gateway: gateway, prefix: prefix, request: request))
      return FetchResult(.changed(state), marker: marker)
    }
  }

  private func absent(_ key: String) -> FetchResult {
    .absent(.manifest, "\(source) has no key \(key); check the prefix, or publish")
  }

  /// Puts the receipt: the same one again changes nothing, and a newer one about the same subject takes its place.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    let receipt = try Receipt(acknowledgement)
    try await withTimeout(.seconds(30)) { try await gateway.put(prefix + receipt.path, receipt.bytes) }
  }

  /// Hints when the manifest is written. A watch begins with a hint; another one is begun when it ends, and every ten
  /// minutes, because a connection can die without a sign.
  public func changeHints() -> AsyncStream<Void>? {
    let (hints, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let watching = Task { [gateway, key = prefix + DropLayout.manifest] in
      while !Task.isCancelled {
        try? await withTimeout(.seconds(600)) { try await gateway.watch(key) { continuation.yield() } }
        // Not all devices at once when etcd is back.
        try? await Task.sleep(for: .seconds(.random(in: 1...5)))
      }
    }
    continuation.onTermination = { _ in watching.cancel() }
    return hints
  }
}

/// The documents of one state. etcd answers with a whole value, which is in memory while it is handed on in pieces.
struct EtcdDocuments: DocumentReader {
  let gateway: EtcdGateway
  let prefix: String
  let request: FetchRequest

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let (key, limit) = (key(of: document), Int(clamping: request.limits.documentSize))
    guard let entry = try await withTimeout(request.timeout, { try await gateway.entry(key, limit: limit) }) else {
      throw VerificationError(.documentMissing, "etcd has no \(key) (yet)")
    }
    return DocumentBytes(Array(entry.value))
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    try? await withTimeout(request.timeout) { try await gateway.entry(key(of: document), limit: nil)?.write }
  }

  /// By its path in the drop, which trust updates have as well. Whatever it says, a key that begins so is below the prefix.
  private func key(of document: DocumentReference) -> String {
    prefix + (document.url ?? DropLayout.document(document.digest))
  }
}
