public import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
public import HTTPMessageSignatures
public import HTTPTransport
public import HTTPTypes
public import Logging

/// Desired state from a Margo workload fleet manager: the Margo Workload Management API.
///
/// Two forms of it are spoken. In 1.0.0-rc.3 the caller is who its certificate says (mutual TLS, SPIFFE); before, the
/// path names a client and requests are signed (RFC 9421). See the article *The Margo Workload Management API*.
public final class MargoBackend: DesiredStateBackend {
  /// Adds to a request, whose body is given, the fields that prove who sends it: `Content-Digest` (RFC 9530),
  /// `Signature-Input` and `Signature` (RFC 9421).
  public typealias SignRequest = @Sendable (_ request: inout HTTPRequest, _ body: [UInt8]) throws -> Void

  /// The URL of the API, with the client's id where the form has one.
  public let source: String

  let api: MargoAPI
  let client: SourceClient
  private let responseKey: HTTPVerificationKey?
  private let reporter: CapabilityReporter?
  private let trustBundle: TrustBundle?

  /// A fleet manager.
  ///
  /// - Parameters:
  ///   - base: the URL that `/api/v1/…` comes after: `https://fleet.example`.
  ///   - clientID: what onboarding gave, for the client-id form. Nil: the form of 1.0.0-rc.3, whose caller is known by
  ///     the client certificate of the transport.
  ///   - transport: how to get there. For 1.0.0-rc.3 see ``mutualTLS(_:)``.
  ///   - signRequest: signs each request, for the client-id form.
  ///   - responseKey: the manager's key, if it signs its responses (RFC 9421): then every manifest has to bear its
  ///     signature, which vouches for it also through proxies that inspect TLS. See ``verify(_:with:)``.
  ///   - allowsPlainHTTP: whether `http:` may be used to reach another machine than this one.
  ///   - reports: the capabilities that the manager is to know: sent before each poll, if there is anything to send.
  ///   - capabilitiesFile: a file with capabilities (one object, or an array of them: a gateway and the devices behind it)
  ///     that become `reports`, again whenever the file changes.
  ///   - logger: where it is told what the manager made of the reports.
  /// - Throws: `SourceAddressError` if the address or the file of capabilities cannot be used.
  public convenience init(
    base: String, clientID: String? = nil, transport: HTTPTransport, signRequest: SignRequest? = nil,
    responseKey: HTTPVerificationKey? = nil, allowsPlainHTTP: Bool = false, reports: CapabilityReports? = nil,
    capabilitiesFile: String? = nil, logger: Logger = Logger(label: "desired-state.margo")
  ) throws(SourceAddressError) {
    try self.init(
      base: base, clientID: clientID, transport: transport, signRequest: signRequest, responseKey: responseKey,
      allowsPlainHTTP: allowsPlainHTTP, reports: reports, capabilitiesFile: capabilitiesFile, logger: logger,
      trustBundle: nil)
  }

  /// - Parameter trustBundle: keeps the file that the transport trusts.
  init(
    base: String, clientID: String?, transport: HTTPTransport, signRequest: SignRequest?,
    responseKey: HTTPVerificationKey?, allowsPlainHTTP: Bool, reports: CapabilityReports?, capabilitiesFile: String?,
    logger: Logger, trustBundle: TrustBundle?
  ) throws(SourceAddressError) {
    self.trustBundle = trustBundle
    api = MargoAPI(
      base: try HTTPSourceAddress.parse(base, allowsPlainHTTP: allowsPlainHTTP), clientID: clientID)
    source = "margo+\(api.root)"
    self.responseKey = responseKey
    if capabilitiesFile != nil, reports == nil {
      throw SourceAddressError("capabilities need a store, so that they are durable before they are sent")
    }
    reporter = try reports.map { reports throws(SourceAddressError) in
      try CapabilityReporter(reports, file: capabilitiesFile, logger: logger)
    }
    client = SourceClient(transport: transport, sign: signRequest)
  }

  /// The proof that every exchange must bring, on top of a configuration, in the form of 1.0.0-rc.3.
  ///
  /// By the WFM Identity Profile the manager that a client may talk to follows from the client's own certificate: a
  /// client `spiffe://<trust domain>/margo/wfm/<id>/client/<client>` belongs to `spiffe://<trust domain>/margo/wfm/<id>`.
  /// The server has to be that, whatever its host name, by a certificate that is no authority's and of the listed algorithms;
  /// it is checked before the first byte of a request is sent. A certificate without such a name leaves the configuration as it is: then the host name is what counts.
  ///
  /// - Throws: `SourceAddressError` if the certificate cannot be read or has more than one name.
  public static func mutualTLS(
    _ configuration: HTTPTransportConfiguration
  ) throws(SourceAddressError) -> HTTPTransportConfiguration {
    guard let certificate = configuration.tls.clientCertificate else { return configuration }
    guard let uris = certificate.uris else {
      throw SourceAddressError("\(certificate.certificateFile) cannot be read, or holds no certificate in PEM form")
    }
    guard let manager = try WorkloadIdentity.manager(ofClientNamed: uris) else { return configuration }
    var configuration = configuration
    configuration.tls.expectedServerIdentity = HTTPServerIdentity(
      uri: manager, alsoMatchesHost: false, algorithms: .strong)
    return configuration
  }

  /// Looks once: one conditional GET if nothing is new.
  ///
  /// - Throws: `BackendError`; `VerificationError` with `limit-exceeded`; `CancellationError`.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    let deadline = ContinuousClock.now + request.timeout
    try await refreshTrust(timeout: request.timeout)
    try await reporter?.report(to: self, timeout: request.timeout)
    var fields: HTTPFields = [.accept: StateManifest.mediaType]
    if let known = CacheValidator(marker: request.marker?[...].utf8, current: request.current) {
      fields.append(known.condition)
    }
    // RFC 9530 section 2: a content digest is of the bytes as they were sent, before any decoding.
    if responseKey != nil { fields[.acceptEncoding] = "identity" }
    guard
      let answer = try await client.get(
        api.manifest, "the manifest", headerFields: fields, limit: request.limits.manifestSize, deadline: deadline)
    else {
      return .absent(
        .manifest,
        "\(try api.manifest) answers that nothing is there (404 or 410): it has no manifest for this client, or the base path is missing from the address (what stands before /api/v1; with many managers nothing does)"
      )
    }
    // The channel is what vouches, and it is the manager's own.
    guard try answer.address.origin == api.manifest.origin else {
      throw BackendError(
        .protocolViolation,
        "\(source) leads to \(answer.address.origin), another server; name that one if it is the manager")
    }
    let expiry = answer.credentialsExpire
    if answer.isNotModified {
      return FetchResult(.unchanged, marker: request.marker, credentialsExpire: expiry)
    }
    let revision = Revision(ofManifest: answer.body)
    let marker = CacheValidator(entityTagOf: answer.response.headerFields, revision: revision)?.marker
    if revision == request.current { return FetchResult(.unchanged, marker: marker, credentialsExpire: expiry) }
    // The API's evidence is its channel: verified TLS to the manager that this client belongs to, and the manager's
    // signature over its response, if it signs.
    let signer = try responseKey.map { try Self.signer(of: answer, by: $0) }
    let documents = HTTPDocumentReader(
      over: client, manifest: answer.body, for: request,
      at: .init(document: { [api] in try api.address(of: $0) }, bundle: { [api] in try api.address(of: $0) }),
      // By the specification any digest that is wrong ends the update, the bundle's too.
      refusingWrongBundles: true)
    return FetchResult(
      .changed(
        FetchedState(
          manifest: answer.body, signatures: [],
          evidence: { revision in
            [MargoManifestRules(of: answer.body, revision: revision)]
              + [api.channel, signer].compactMap(\.self).map { AuthenticatedChannel($0, gave: revision) }
          }, origin: answer.origin, documents: documents)), marker: marker, credentialsExpire: expiry)
  }

  /// Looks for other authorities if it is time, and connects anew with them.
  func refreshTrust(timeout: Duration) async throws {
    guard let trustBundle, try await trustBundle.refresh(timeout: timeout) else { return }
    client.transport.reload()
  }

  public func reload() { client.transport.reload() }

  /// The API takes how far deployments have come, each with the manifest version it came from. For the state as a whole
  /// it has no place. It wants each change of a deployment's state.
  public var capabilities: BackendCapabilities { [.acknowledgesDocuments, .acknowledgesEachChange] }

  /// Posts a deployment's status. The manager keeps one status per deployment, so that the same one again counts once.
  ///
  /// - Throws: `BackendError`; `CancellationError`.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    guard case .document(let status) = acknowledgement.outcome else {
      throw BackendError(.unsupported, "\(source) takes statuses of documents only; the API has none of a whole state")
    }
    try await refreshTrust(timeout: .seconds(30))
    let body = try JSON.file(
      MargoStatus(
        status, device: acknowledgement.device, adoptedManifestVersion: acknowledgement.adoptedManifestVersion))
    try await client.deliver(
      body, by: .post, to: try api.status(of: status.documentID), contentType: "application/json",
      deadline: .now + .seconds(30))
  }
}
