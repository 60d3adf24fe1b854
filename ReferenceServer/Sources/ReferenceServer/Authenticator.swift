import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import NIOSSL

/// What a handler knows of a request beside the request.
struct ManagementContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: Source) {
    coreContext = .init(source: source)
    channel = source.channel
  }

  /// A parameter of the path, decoded.
  func parameter(_ name: String) throws -> String {
    guard let text = parameters.get(name).flatMap({ PercentEncoding.decode($0) }) else {
      throw Problem.invalidRequest("The path's percent-encoding cannot be read.")
    }
    return text
  }
}

/// Finds out which client a request is from.
struct Authenticator: Sendable {
  let configuration: ReferenceServerConfiguration
  /// Which fleet manager this is, if its certificate says so.
  let manager: WorkloadIdentity?
  let fleet: Fleet

  /// The client that is accepted, by its certificate (1.0.0-rc.3) or by the path and a signature (client-id form).
  ///
  /// - Parameter named: the client that the path names; nil in the form of 1.0.0-rc.3.
  /// - Throws: ``Problem`` with 403 or 401.
  func client(of request: Request, body: [UInt8], named: String?, _ context: ManagementContext) async throws -> String {
    let certified = try await clientOfCertificate(context)
    if let named, let certified, certified != named {
      throw Problem.notAuthorized("The client certificate is that of another client.")
    }
    guard let client = named ?? certified ?? configuration.assumedClient else {
      throw Problem.notAuthorized(
        "In this form of the API the caller is who its certificate says, and there is no certificate.")
    }
    guard try await fleet.accepts(client) else {
      throw Problem.notAuthorized("The client is not one that this fleet manager accepts.")
    }
    if named != nil {
      try await checkSignature(of: request, body: body, required: configuration.requiresSignatures) {
        try await fleet.certificate(of: client)
      }
    }
    return client
  }

  /// The client in the connection's certificate; nil if there is no certificate, or one without a SPIFFE ID.
  private func clientOfCertificate(_ context: ManagementContext) async throws -> String? {
    guard configuration.tls?.clientAuthorityFile != nil,
      let certificate = try await context.channel.nioSSL_peerCertificate().get()
    else { return nil }
    guard let identity = certificate.workloadIdentity else {
      throw Problem.notAuthorized("The client certificate has no SPIFFE ID of a fleet manager's client.")
    }
    if let manager, !identity.isClient(of: manager) {
      throw Problem.notAuthorized("The client certificate is for another fleet manager.")
    }
    guard let client = identity.client else {
      throw Problem.notAuthorized("The client certificate is that of a fleet manager.")
    }
    guard let use = try? CertificateUse(der: try certificate.toDERBytes()) else {
      throw Problem.notAuthorized("The client certificate cannot be read.")
    }
    if let fault = use.fault { throw Problem.notAuthorized(fault) }
    return client
  }
}
