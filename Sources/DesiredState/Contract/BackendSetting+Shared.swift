// How sources on other machines are reached. Files are given by their paths, and are read again when they change.

extension BackendSetting where Value == String {
  /// A file of authorities, in PEM form or a SPIFFE bundle (JSON); only servers that they certify are believed, in place of
  /// the system's.
  public static let trustedAuthorities = BackendSetting("tls-ca", "the trusted authorities")
  /// A PEM file with the device's certificate, then any intermediates. Goes with ``clientKey``.
  public static let clientCertificate = BackendSetting("tls-cert", "the client certificate")
  /// A PEM file with the private key of ``clientCertificate``.
  public static let clientKey = BackendSetting("tls-key", "the client certificate's key")
  /// A proxy's URL, `http:` or `https:`, with a user and a password if it wants them; or `environment`: as `https_proxy` and
  /// `no_proxy` say.
  public static let proxy = BackendSetting("proxy", "the proxy's address")
  /// A PEM file of authorities; only an `https:` proxy that they certify is believed.
  public static let proxyAuthorities = BackendSetting("proxy-ca", "the proxy's trusted authorities")
  /// A file with the bearer token that the source is shown.
  public static let tokenFile = BackendSetting("token-file", "the token file")
  /// A PEM file with the private key that signs requests (RFC 9421).
  public static let requestKey = BackendSetting("request-key", "the request key")
  /// A PEM file with the public key by which answers must be signed (RFC 9421).
  public static let responseKey = BackendSetting("response-key", "the response key")
  /// A file with the SSH key that hosts are shown, in place of those that ssh finds by itself.
  public static let sshKey = BackendSetting("ssh-key", "the SSH key")
  /// A file with the keys of the SSH hosts that are believed, as ssh has it.
  public static let knownHosts = BackendSetting("known-hosts", "the known hosts file")
  /// Who makes commits, as `Name <mail>`.
  public static let author = BackendSetting("author", "the commits' author")
}

extension BackendSetting where Value == Bool {
  /// Whether an SSH host that is seen for the first time is believed, and its key added to ``BackendSetting/knownHosts``.
  public static let acceptsNewHostKeys = BackendSetting("accept-new-host-key", "new SSH host keys")
  /// Whether TLS 1.2 may be spoken, with servers and proxies that have no 1.3.
  public static let allowsTLS12 = BackendSetting("allow-tls-1.2", "TLS 1.2")
  /// Whether other machines may be reached by `http:`, in the clear.
  public static let allowsPlainHTTP = BackendSetting("insecure-http", "plain HTTP to other machines")
}

extension BackendSetting where Value == Duration {
  /// How long a source may send next to nothing before its connection is given up. Default 15 seconds.
  public static let stallLimit = BackendSetting("stall", "the stall limit")
  /// After how long a source is asked for all of its manifest, in place of whether it has changed: what tells a server's
  /// versions apart may be the same for two of them. Default one hour.
  public static let fullPollInterval = BackendSetting("full-poll", "the time between full polls")
}

extension BackendSetting where Value == Int {
  /// How many bytes a second are taken from a source at most. Default: as many as come.
  public static let rateLimit = BackendSetting("limit-rate", "the rate limit")
}

extension BackendSetting where Value == ReceiptSigner {
  /// The key by which receipts are signed. Default: they are not.
  public static let receiptSigner = BackendSetting("receipt-key", "the receipt key")
}

extension BackendSettings.Key {
  /// Every setting that is declared with the contract.
  package static let shared: Set<Self> = {
    let texts: [BackendSetting<String>] = [
      .trustedAuthorities, .clientCertificate, .clientKey, .proxy, .proxyAuthorities, .tokenFile, .requestKey,
      .responseKey, .sshKey, .knownHosts, .author,
    ]
    let switches: [BackendSetting<Bool>] = [.acceptsNewHostKeys, .allowsTLS12, .allowsPlainHTTP]
    let times: [BackendSetting<Duration>] = [.stallLimit, .fullPollInterval]
    let others = [BackendSetting<Int>.rateLimit.key, BackendSetting<ReceiptSigner>.receiptSigner.key]
    return Set(texts.map(\.key) + switches.map(\.key) + times.map(\.key) + others)
  }()
}
