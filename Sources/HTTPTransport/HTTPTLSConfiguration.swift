/// The lowest TLS version that is spoken.
public enum HTTPTLSVersion: Sendable, Hashable {
  /// TLS 1.2 (RFC 5246) and newer.
  case tls12
  /// TLS 1.3 (RFC 8446) and newer.
  case tls13
}

/// Whose certificates are believed. Only these settings count: no environment variable.
public enum HTTPTrustRoots: Sendable, Hashable {
  /// The system's certificate authorities, as compiled into libcurl.
  case system
  /// The system's, and those in a PEM file.
  case systemAnd(file: String)
  /// Only those in a PEM file: a pinned authority.
  case only(file: String)
}

/// A certificate and key to show to servers that ask for one (mutual TLS).
///
/// Both are read again when they change, and connections are made anew with them. While they do not fit together, the pair
/// before goes on.
public struct HTTPClientCertificate: Sendable, Hashable {
  /// A PEM file: the certificate, then any intermediates.
  public var certificateFile: String
  /// A PEM file.
  public var keyFile: String
  /// The passphrase of the key.
  public var passphrase: HTTPSecret?

  /// A certificate and its key, in PEM files that are read again when they change.
  public init(certificateFile: String, keyFile: String, passphrase: HTTPSecret? = nil) {
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.passphrase = passphrase
  }
}

/// The keys and signatures that a server's certificate may have.
public enum HTTPCertificateAlgorithms: Sendable, Hashable {
  /// Those that TLS takes.
  case any
  /// ECDSA on P-256 or P-384 with SHA-256 or SHA-384, Ed25519, and RSA from 3072 bits with SHA-256: those of FIPS 186-5 from
  /// 128 bits of strength, as the Margo identity framework lists them.
  case strong
}

/// An identity that the server's certificate has to carry, such as a SPIFFE id.
///
/// A certificate that carries a SPIFFE id must also be fit for it (X.509-SVID, section 5.2): one of an authority, or one that
/// may sign certificates or revocation lists, is not.
///
/// Checked on the connection of every https request, after the handshake and before the first byte
/// of the request is sent, also when a connection is used again.
public struct HTTPServerIdentity: Sendable, Hashable {
  /// The URI subject alternative name. As the X.509-SVID specification demands (section 2), the
  /// certificate must carry exactly one URI, and it must be this one.
  public var uri: String
  /// Whether the certificate must name the host as well. SPIFFE certificates often do not.
  public var alsoMatchesHost: Bool
  /// The keys and signatures that the certificate may have.
  public var algorithms: HTTPCertificateAlgorithms

  /// The trust domain of a SPIFFE id; nil for another URI.
  package var trustDomain: String? {
    guard uri.hasPrefix("spiffe://") else { return nil }
    return String(uri.dropFirst("spiffe://".count).prefix { $0 != "/" })
  }

  /// The identity of a URI, such as a SPIFFE id.
  public init(uri: String, alsoMatchesHost: Bool = true, algorithms: HTTPCertificateAlgorithms = .any) {
    self.uri = uri
    self.alsoMatchesHost = alsoMatchesHost
    self.algorithms = algorithms
  }
}

/// How connections are secured.
public struct HTTPTLSConfiguration: Sendable, Hashable {
  /// The oldest version that is spoken.
  public var minimumVersion: HTTPTLSVersion
  /// Whose certificates a server may show.
  public var trust: HTTPTrustRoots
  /// The certificate that a server is shown if it asks; nil for none.
  public var clientCertificate: HTTPClientCertificate?
  /// The identity that a server's certificate must have; nil for the host's name.
  public var expectedServerIdentity: HTTPServerIdentity?

  /// TLS 1.3, the system's authorities, no client certificate.
  public init(
    minimumVersion: HTTPTLSVersion = .tls13, trust: HTTPTrustRoots = .system,
    clientCertificate: HTTPClientCertificate? = nil, expectedServerIdentity: HTTPServerIdentity? = nil
  ) {
    self.minimumVersion = minimumVersion
    self.trust = trust
    self.clientCertificate = clientCertificate
    self.expectedServerIdentity = expectedServerIdentity
  }
}
