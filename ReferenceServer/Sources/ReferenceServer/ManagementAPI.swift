import DesiredState
import HTTPTypes
import Hummingbird
import MargoDocuments

/// The Margo Workload Management API, in both of its forms.
struct ManagementAPI: Sendable {
  let authenticator: Authenticator
  let fleet: Fleet
  let switchboard: Switchboard
  let onboarding: Onboarding

  /// 1.0.0-rc.3, or the form whose paths name the client.
  enum Form: Sendable {
    case certificate, clientID

    /// Both in paths of routes and in those of manifests.
    func root(_ client: String) -> String {
      switch self {
      case .certificate: "/api/v1"
      case .clientID: "/api/v1/clients/\(client)"
      }
    }
  }

  var router: Router<ManagementContext> {
    let router = Router(context: ManagementContext.self)
    router.add(middleware: ProblemMiddleware())
    for form in [Form.certificate, .clientID] {
      let group = router.group(RouterPath(form.root("{clientId}")))
      group.get("deployments") { try await manifest($0, $1, form) }
      group.get("deployments/{deploymentId}/{digest}") { try await document($0, $1, form) }
      group.get("bundles/{digest}") { try await bundle($0, $1, form) }
      group.post("deployments/{deploymentId}/status") { try await status($0, $1, form) }
      group.put("capabilities/**") { try await reportDevice($0, $1, form) }
      group.delete("capabilities/**") { try await removeDevice($0, $1, form) }
      if form == .clientID { group.post("capabilities/**") { try await reportDevice($0, $1, form) } }
    }
    router.get("/api/v1/onboarding/certificate") { _, _ in try await onboarding.rootCertificate() }
    router.post("/api/v1/onboarding") { request, context in
      let body = try await body(of: request)
      if let response = try await switchboard.take(for: nil, .onboarding)?.begin(request) { return response }
      return try await onboarding.onboard(request, body: body, authenticator)
    }
    return router
  }

  // MARK: - Desired state

  private func manifest(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let (client, fault, instead) = try await begin(request, context, form, .manifest)
    if let instead { return instead }
    let mediaType = StateManifest.mediaType
    if let accept = request.headers[.accept] {
      guard Preferences(accept).accepts([mediaType, "application/*", "*/*"]) else { throw Problem.notAcceptable }
    }
    guard var manifest = try await fleet.assignment(of: client).current() else {
      throw Problem.other(.notFound, "Nothing has been published for this client yet.")
    }
    let root = form.root(client)
    for index in manifest.documents.indices {
      let document = manifest.documents[index]
      manifest.documents[index].url = "\(root)/deployments/\(PercentEncoding.encode(document.id))/\(document.digest)"
    }
    if let bundle = manifest.bundle { manifest.bundle?.url = "\(root)/bundles/\(bundle.digest)" }
    let bytes = (fault?.altered(manifest) ?? manifest).encoded()
    return Artifact(
      bytes: bytes, digest: Digest.of(bytes), mediaType: mediaType, cacheControl: "private, no-cache",
      isCompressible: true
    ).response(to: request, fault)
  }

  private func document(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let (client, fault, instead) = try await begin(request, context, form, .document)
    if let instead { return instead }
    guard let digest = try? Digest(parsing: try context.parameter("digest")), fault?.fault != .missing,
      let bytes = try await fleet.assignment(of: client).document(try context.parameter("deploymentId"), digest)
    else { throw Problem.deploymentNotFound }
    return Artifact(
      bytes: bytes, digest: digest, mediaType: "application/yaml", cacheControl: Artifact.immutable,
      isCompressible: true
    ).response(to: request, fault)
  }

  private func bundle(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let (client, fault, instead) = try await begin(request, context, form, .bundle)
    if let instead { return instead }
    guard let digest = try? Digest(parsing: try context.parameter("digest")), fault?.fault != .missing,
      let bytes = try await fleet.assignment(of: client).bundle(digest)
    else { throw Problem.bundleNotFound }
    return Artifact(
      bytes: bytes, digest: digest, mediaType: StateManifest.BundleReference.mediaType,
      cacheControl: Artifact.immutable, isCompressible: false
    ).response(to: request, fault)
  }

  // MARK: - Reports

  private func status(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let body = try await body(of: request)
    let (client, _, instead) = try await begin(request, context, form, .status, body: body)
    if let instead { return instead }
    let status = try JSONText.request(DeploymentStatus.self, from: body)
    let newest = try await fleet.assignment(of: client).current()?.version
    try status.check(
      id: try context.parameter("deploymentId"), newest: newest, needsVersion: form == .certificate)
    let isNew = try await fleet.reports(of: client).store(status)
    return Response(status: isNew ? .created : .ok)
  }

  private func reportDevice(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let body = try await body(of: request)
    let (client, _, instead) = try await begin(request, context, form, .capabilities, body: body)
    if let instead { return instead }
    let id = try Self.deviceID(context)
    let isNew = try await fleet.reports(of: client).store(try Capabilities.read(body, of: id), of: id)
    // The client-id form knows 201 alone.
    return Response(status: isNew || form == .clientID ? .created : .ok)
  }

  private func removeDevice(_ request: Request, _ context: ManagementContext, _ form: Form) async throws -> Response {
    let (client, _, instead) = try await begin(request, context, form, .capabilities)
    if let instead { return instead }
    guard try await fleet.reports(of: client).removeDevice(try Self.deviceID(context)) else {
      throw Problem.deviceNotFound
    }
    return Response(status: .noContent)
  }

  /// The rest of the path: a device id has slashes where a device is behind another one.
  private static func deviceID(_ context: ManagementContext) throws -> DeviceID {
    let text = PercentEncoding.decode(context.parameters.getCatchAll().joined(separator: "/"))
    guard let id = text.flatMap(DeviceID.init) else { throw Problem.invalidRequest("The path names no device id.") }
    return id
  }

  // MARK: - Each request

  /// The caller, and the fault to play: a fault, or the answer that it gives in place of the right one.
  private func begin(
    _ request: Request, _ context: ManagementContext, _ form: Form, _ operation: Operation, body: [UInt8] = []
  ) async throws -> (client: String, fault: Fault?, instead: Response?) {
    let named = form == .clientID ? try context.parameter("clientId") : nil
    let client = try await authenticator.client(of: request, body: body, named: named, context)
    let fault = switchboard.take(for: client, operation)
    return (client, fault, try await fault?.begin(request))
  }

  private func body(of request: Request) async throws -> [UInt8] {
    Array(buffer: try await request.body.collect(upTo: 1 << 20))
  }
}
