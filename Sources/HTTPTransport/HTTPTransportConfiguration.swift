/// Everything a transport's behaviour depends on. The environment has no say unless asked to.
public struct HTTPTransportConfiguration: Sendable, Hashable {
  /// How servers prove themselves, and this client to them.
  public var tls: HTTPTLSConfiguration
  /// Whether requests go through a proxy.
  public var proxy: HTTPProxyChoice
  /// Shown to their own origin only. A request with an `Authorization` field of its own keeps that.
  public var credentials: HTTPCredentials?
  /// Which redirects are followed.
  public var redirects: HTTPRedirectPolicy
  /// Which HTTP versions may be spoken.
  public var versions: HTTPVersionPreference
  /// For exchanges that are given no limits of their own.
  public var limits: HTTPLimits
  /// For exchanges that are given no deadline of their own: the time for all of it, redirects and body included.
  public var timeout: Duration
  /// For name resolution, TCP, proxy and TLS together.
  public var connectTimeout: Duration
  /// Nil: no limit but the deadline.
  public var stallLimit: HTTPStallLimit?
  /// Whether to ask for gzip, and to decode it. Header fields stay as they came, so `Content-Length` and `ETag` are those of
  /// the encoded body.
  public var decodesContent: Bool
  /// The `User-Agent` of requests that carry none; nil for none at all.
  public var userAgent: String?
  /// Exchanges under way at once; more wait their turn. A body that is not being read counts.
  public var maximumConcurrentExchanges: Int
  /// Connections to one host at once. One HTTP/2 connection carries many exchanges.
  public var maximumConnectionsPerHost: Int
  /// How long connections are used. After that, requests go over new ones: the name is looked up again, the certificate is
  /// checked again, and no TLS session is resumed.
  public var connectionLifetime: Duration
  /// At most so many bytes a second are taken in, all exchanges together. Nil: as many as come.
  public var maximumBytesPerSecond: Int?

  /// Direct, TLS 1.3 with the system's authorities, HTTP/2 if the server can, up to five redirects,
  /// 60 seconds in all, 10 to connect.
  public init(
    tls: HTTPTLSConfiguration = HTTPTLSConfiguration(), proxy: HTTPProxyChoice = .direct,
    credentials: HTTPCredentials? = nil
  ) {
    self.tls = tls
    self.proxy = proxy
    self.credentials = credentials
    redirects = .follow(maximum: 5)
    versions = .http2
    limits = HTTPLimits()
    timeout = .seconds(60)
    connectTimeout = .seconds(10)
    stallLimit = HTTPStallLimit()
    decodesContent = true
    userAgent = nil
    maximumConcurrentExchanges = 64
    maximumConnectionsPerHost = 6
    connectionLifetime = .seconds(300)
    maximumBytesPerSecond = nil
  }

  /// Every secret that was given as such, and the forms in which it is sent, to be struck out of what libcurl and servers say.
  var secrets: [String] {
    var secrets: [String?] = []
    switch credentials?.scheme {
    case .bearer(let token): secrets.append(token.value)
    case .basic(_, let password): secrets.append(password.value)
    case nil: break
    }
    if case .environment = proxy { secrets += HTTPProxy.environmentSecrets }
    if case .proxy(let proxy) = proxy, let password = proxy.password?.value {
      secrets += [password, HTTPCredentials.basic(proxy.user ?? "", password)]
    }
    secrets.append(tls.clientCertificate?.passphrase?.value)
    return secrets.compactMap(\.self).filter { !$0.isEmpty }
  }
}
