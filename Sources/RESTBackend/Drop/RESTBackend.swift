public import DesiredState
import DesiredStateSupport
import FoundationEssentials
import HTTPBackendSupport
public import HTTPTransport
import HTTPTypes

/// Desired state from any HTTP server: a signed drop behind a static server, a CDN or an object store.
///
/// The address is that of `manifest.json`; everything else is where a drop has it, relative to that. A poll is one
/// conditional GET (RFC 9110 section 13), by ETag, else by date, else by digest. Signatures and documents are fetched
/// only when the manifest is new, small documents ahead of being read.
///
/// A missing manifest (404, 410) is `absent`: never a reason to remove anything.
public final class RESTBackend: DesiredStateBackend {
  /// The manifest's URL without its query, which may hold a secret.
  public let source: String

  private let manifest: HTTPAddress
  /// What a marker begins with: `source` leaves the query out, and under another query the same tag may be that of another
  /// state.
  private let binding: String
  private let receipts: HTTPAddress?
  private let receiptSigner: ReceiptSigner?
  /// The signature that was put beside each receipt last.
  private let signatures = LockedValue<[String: [UInt8]]>([:])
  private let client: SourceClient
  private let fullPollInterval: Duration
  /// The marker that was asked by last: it is the same at every poll until something changes.
  private let lastMarker = LockedValue<ReadMarker?>(nil)

  private struct ReadMarker: Sendable {
    let text: String
    let time: Int
    let validator: CacheValidator
  }

  /// A drop over HTTP.
  ///
  /// - Parameters:
  ///   - manifest: the URL of `manifest.json`. A query goes to the server with the manifest's own requests.
  ///   - receipts: where acknowledgements are PUT, as `<receipts>/<device>/…` (see `Receipt`): a URL, or a reference
  ///     relative to the manifest, such as `acknowledgements/`. Nil: there is no way back.
  ///   - receiptSigner: signs the receipts; nil leaves them unsigned.
  ///   - transport: how to get there. Other backends may use the same one.
  ///   - allowsPlainHTTP: whether `http:` may be used to reach another machine than this one. Signatures protect what
  ///     arrives; nothing then protects who sees it.
  ///   - fullPollInterval: after how long the manifest is asked for as a whole, in place of whether it has changed. Servers
  ///     make entity tags of a file's time and size, and two publications may have both in common.
  /// - Throws: `SourceAddressError` if an address cannot be used.
  public init(
    manifest: String, receipts: String? = nil, receiptSigner: ReceiptSigner? = nil, transport: HTTPTransport,
    allowsPlainHTTP: Bool = false, fullPollInterval: Duration = .seconds(3600)
  ) throws(SourceAddressError) {
    let manifest = try HTTPSourceAddress.parse(manifest, allowsPlainHTTP: allowsPlainHTTP)
    self.manifest = manifest
    binding = Digest.of(manifest.url.utf8).fileName + " "
    self.receipts = try receipts.map { text throws(SourceAddressError) in
      guard !text.isEmpty else { throw SourceAddressError("'receipts=' names no address; leave it out, or name one") }
      guard !text.contains(where: { $0 == "?" || $0 == "#" }) else {
        throw SourceAddressError("'receipts=' names a folder, and has no query; files are put below it")
      }
      // A folder, whether it is written with its slash or without.
      let folder = text.hasSuffix("/") ? text : text + "/"
      return try HTTPSourceAddress.parse(folder, relativeTo: manifest, allowsPlainHTTP: allowsPlainHTTP)
    }
    self.receiptSigner = receiptSigner
    self.fullPollInterval = fullPollInterval
    source = "\(manifest)"
    client = SourceClient(transport: transport)
  }

  /// Lets this backend serve `https:` and `http:`.
  ///
  /// `receipts=` in the query of the address is where acknowledgements go; the rest of the query is the server's.
  public static func register(in registry: inout BackendRegistry) {
    for scheme in ["https", "http"] {
      registry.register(scheme, settings: Self.usedSettings) { address, context in
        let url = scheme + ":" + address.location + address.queryText(without: ["receipts"])
        let allowsPlainHTTP = TransportSettings.allowsPlainHTTP(context.settings)
        return try RESTBackend(
          manifest: url, receipts: address.query["receipts"], receiptSigner: context.settings[.receiptSigner],
          transport: try TransportSettings.transport(context.settings, to: url), allowsPlainHTTP: allowsPlainHTTP,
          fullPollInterval: context.settings[Self.fullPoll] ?? .seconds(3600))
      }
    }
  }

  @Sendable private static func usedSettings(for address: SourceAddress) -> Set<BackendSettings.Key> {
    let keys = TransportSettings.keys.union([fullPoll.key])
    return address.query["receipts"] == nil ? keys : keys.union([BackendSetting.receiptSigner.key])
  }

  private static let fullPoll: BackendSetting<Duration> = .fullPollInterval

  /// Receipts can be written where there is an address for them. Servers of files send parts of them.
  public var capabilities: BackendCapabilities { receipts == nil ? [.resumes] : [.resumes, .acknowledges] }

  public func reload() { client.transport.reload() }

  /// Looks once: one conditional GET if nothing is new.
  ///
  /// - Throws: `BackendError`; `VerificationError` with `limit-exceeded`; `CancellationError`.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    let deadline = ContinuousClock.now + request.timeout
    let now = Int(Date().timeIntervalSince1970)
    let known = validator(request, now)
    var fields = Self.questionFields
    if let known { fields.append(known.condition) }
    guard
      let answer = try await client.get(
        manifest, "the manifest", headerFields: fields, limit: request.limits.manifestSize, deadline: deadline)
    else {
      return .absent(.manifest, "\(source) answers that nothing is there (404 or 410); check the address, or publish")
    }
    let expiry = answer.credentialsExpire
    if answer.isNotModified {
      return FetchResult(.unchanged, marker: request.marker, credentialsExpire: expiry)
    }
    let revision = Revision(ofManifest: answer.body)
    let validator = CacheValidator(answer.response.headerFields, revision: revision)
    // A server that heeds no condition gives a new marker no reason to be written.
    let marker =
      known != nil && validator == known ? request.marker : validator.map { binding + "\(now) " + $0.marker }
    if revision == request.current { return FetchResult(.unchanged, marker: marker, credentialsExpire: expiry) }
    let signatures = try await client.get(
      try answer.address.resolvingInDrop(DropLayout.signatures(of: revision)), "the signatures",
      limit: request.limits.evidenceSize, deadline: deadline)
    let base = answer.address
    // What answered, which a redirect may have led to; and TLS all the way, or it vouches for nothing.
    let isProtected = manifest.origin.scheme == "https" && base.origin.scheme == "https"
    let documents = HTTPDocumentReader(
      over: client, manifest: answer.body, for: request,
      at: .init(
        document: { try base.resolvingInDrop(try DropLayout.path(of: $0)) },
        bundle: { try base.resolvingInDrop(try DropLayout.path(of: $0)) }))
    return FetchResult(
      .changed(
        FetchedState(
          manifest: answer.body, signatures: signatures.map { [$0.body] } ?? [],
          evidence: { isProtected ? [AuthenticatedChannel("TLS to \(base.origin)", gave: $0)] : [] },
          origin: answer.origin, documents: documents)),
      marker: marker, credentialsExpire: expiry)
  }

  /// What to ask by, if the last full poll is not too long ago. The marker says when it was, in seconds since 1970.
  private func validator(_ request: FetchRequest, _ now: Int) -> CacheValidator? {
    guard let text = request.marker, let current = request.current else { return nil }
    let known = lastMarker.withLock { last in
      if last?.text != text || last?.validator.revision != current { last = readMarker(text, current) }
      return last
    }
    guard let known, known.time <= now, .seconds(now - known.time) < fullPollInterval else { return nil }
    return known.validator
  }

  private func readMarker(_ text: String, _ current: Revision) -> ReadMarker? {
    guard let rest = text[...].utf8.after(binding), let space = rest.firstIndex(of: UInt8(ascii: " ")),
      let time = Int(String(rest[..<space]) ?? ""),
      let validator = CacheValidator(marker: rest[space...].dropFirst(), current: current)
    else { return nil }
    return ReadMarker(text: text, time: time, validator: validator)
  }

  /// What every question for the manifest says: caches on the way ask the server before they answer (RFC 9111 section
  /// 5.2.1.4), and any server of files has one of the media types (RFC 9110 section 12.5.1).
  private static let questionFields: HTTPFields = [
    .cacheControl: "no-cache", .accept: "application/vnd.margo.manifest.v1+json, application/json;q=0.9, */*;q=0.1",
  ]

  /// Puts a receipt at `<receipts>/<device>/…`. The same acknowledgement again is the same file, and a newer one about
  /// the same subject takes its place (RFC 9110 section 9.3.4).
  ///
  /// - Throws: `BackendError`; `CancellationError`.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    guard let receipts else {
      throw BackendError(
        .unsupported, "\(source) has no address for acknowledgements: add ?receipts=URL to the source's address")
    }
    let receipt = try await Receipt(acknowledgement, signer: receiptSigner)
    if let signature = receipt.signature {
      // Put first, with the one before: a reader finds a signature that fits the old receipt and the new one.
      let before = signatures.withLock { $0[receipt.path] } ?? []
      let both = before == signature ? signature : signature + before
      try await put(both, at: receipt.signaturePath, below: receipts, contentType: "text/plain")
    }
    try await put(receipt.bytes, at: receipt.path, below: receipts, contentType: "application/json")
    if let signature = receipt.signature { signatures.withLock { $0[receipt.path] = signature } }
  }

  private func put(_ bytes: [UInt8], at path: String, below folder: HTTPAddress, contentType: String) async throws {
    try await client.deliver(
      bytes, by: .put, to: try folder.resolvingReceipt(Receipt.inFolder(path)), contentType: contentType,
      toFolder: true, deadline: .now + .seconds(30))
  }

  /// A file below the folder of receipts, as a fleet's operator reads it; nil if there is none.
  ///
  /// - Throws: ``BackendError``; ``VerificationError`` with `limit-exceeded`; `CancellationError`.
  package func receiptFile(at path: String, limit: Int, timeout: Duration) async throws -> [UInt8]? {
    guard let receipts else {
      throw BackendError(
        .unsupported, "\(source) has no address for receipts: add ?receipts=URL to the source's address")
    }
    return try await client.get(
      try receipts.resolvingReceipt(path), "a receipt", headerFields: [.cacheControl: "no-cache"], limit: limit,
      deadline: .now + timeout)?.body
  }
}

extension HTTPAddress {
  fileprivate func resolvingReceipt(_ path: String) throws(BackendError) -> HTTPAddress {
    do throws(HTTPTransportError) {
      return try resolving(PercentEncoding.encode(path: path))
    } catch {
      throw BackendError(error)
    }
  }

  /// Where something in the drop is whose manifest is at this address.
  fileprivate func resolvingInDrop(_ path: String) throws(BackendError) -> HTTPAddress {
    do throws(HTTPTransportError) {
      return try resolving("./" + PercentEncoding.encode(path: path))
    } catch {
      throw BackendError(error)
    }
  }
}
