/// What a reference server is told at its start.
public struct ReferenceServerConfiguration: Sendable {
  /// The directory of everything: `clients/` is the operator's, `server/` is the server's own.
  public var dataDirectory: String
  /// The address that agents reach, and its port; 0 takes a free one.
  public var host: String
  public var port: Int
  /// The port of the admin API, on 127.0.0.1 and nowhere else; 0 takes a free one.
  public var adminPort: Int
  /// Nil: plain HTTP.
  public var tls: TLS?
  /// Whether requests of the client-id form have to be signed (RFC 9421). One that is signed is always checked.
  public var requiresSignatures: Bool
  /// Who a caller without a certificate is in the form of 1.0.0-rc.3, for trying things out without TLS.
  public var assumedClient: String?
  /// Whether clients may onboard themselves.
  public var allowsOnboarding: Bool
  /// What `GET /api/v1/onboarding/certificate` hands out, in PEM form.
  public var rootCertificateFile: String?

  public init(
    dataDirectory: String, host: String = "127.0.0.1", port: Int = 0, adminPort: Int = 0, tls: TLS? = nil,
    requiresSignatures: Bool = false, assumedClient: String? = nil, allowsOnboarding: Bool = true,
    rootCertificateFile: String? = nil
  ) {
    self.dataDirectory = dataDirectory
    self.host = host
    self.port = port
    self.adminPort = adminPort
    self.tls = tls
    self.requiresSignatures = requiresSignatures
    self.assumedClient = assumedClient
    self.allowsOnboarding = allowsOnboarding
    self.rootCertificateFile = rootCertificateFile
  }

  /// The server's certificate, and whose certificates its clients have to have.
  public struct TLS: Sendable {
    /// The chain and the key, in PEM form. A certificate with a SPIFFE ID makes this server that fleet manager.
    public var certificateFile: String
    public var keyFile: String
    /// The authority of client certificates, in PEM form; nil: clients need none.
    public var clientAuthorityFile: String?

    public init(certificateFile: String, keyFile: String, clientAuthorityFile: String? = nil) {
      self.certificateFile = certificateFile
      self.keyFile = keyFile
      self.clientAuthorityFile = clientAuthorityFile
    }
  }
}

/// A server that cannot start.
public struct ReferenceServerError: Error, Sendable, CustomStringConvertible {
  /// The fault and the remedy.
  public let description: String
  init(_ description: String) { self.description = description }
}
