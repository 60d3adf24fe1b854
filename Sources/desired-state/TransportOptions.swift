import ArgumentParser
import DesiredState
import RESTBackend

/// How sources on other machines are reached. Each source takes the ones it uses.
struct TransportOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Believe only servers certified by these authorities (PEM, or a SPIFFE bundle.json).", valueName: "file"))
  var tlsCa: String?
  @Option(
    help: ArgumentHelp(
      "Take a fleet manager's authorities from here, and again when they change: a SPIFFE bundle, or https://host/.well-known/margo. --tls-ca is for that server then.",
      valueName: "url"))
  var trustBundle: String?
  @Option(help: ArgumentHelp("This device's certificate and intermediates (PEM).", valueName: "file"))
  var tlsCert: String?
  @Option(help: ArgumentHelp("The private key of --tls-cert (PEM).", valueName: "file"))
  var tlsKey: String?
  @Option(
    help: ArgumentHelp(
      "Go through this proxy: http://[user:password@]host:port, or https:; 'environment' goes by https_proxy and no_proxy.",
      valueName: "url"))
  var proxy: String?
  @Option(help: ArgumentHelp("Believe only an https proxy certified by these authorities (PEM).", valueName: "file"))
  var proxyCa: String?
  @Option(help: ArgumentHelp("Show the bearer token in this file to the source.", valueName: "file"))
  var tokenFile: String?
  @Option(
    help: ArgumentHelp(
      "Sign requests with this private key (PEM), as a fleet manager of the client-id form wants.", valueName: "file"))
  var requestKey: String?
  @Option(
    help: ArgumentHelp(
      "Believe a fleet manager only if it signs its manifests (RFC 9421) with this public key (PEM).",
      valueName: "file"))
  var responseKey: String?
  @Option(
    help: ArgumentHelp("Show this SSH key to git+ssh: sources, instead of what ssh finds by itself.", valueName: "file")
  )
  var sshKey: String?
  @Option(help: ArgumentHelp("Believe only SSH hosts whose keys are in this file.", valueName: "file"))
  var knownHosts: String?
  @Option(help: "Give a connection up that delivers next to nothing for so long. (default: 15s; 5m for Git)")
  var stall: TimeSpan?
  @Option(help: ArgumentHelp("Take no more bytes a second from a source: 500K, 1M.", valueName: "rate"))
  var limitRate: ByteCount?
  @Option(help: "Ask for all of a manifest after so long, also if it seems not to have changed. (default: 1h)")
  var fullPoll: TimeSpan?
  @Flag(help: "Believe an SSH host that is seen for the first time, and add its key to --known-hosts.")
  var acceptNewHostKey = false
  @Option(
    help: ArgumentHelp(
      "Who makes the commits of what is published and of receipts. (default: as git is configured, else the device)",
      valueName: "name <mail>"))
  var author: String?
  @Flag(name: .customLong("allow-tls-1.2"), help: "Allow TLS 1.2, for servers and proxies that have no 1.3.")
  var allowTLS12 = false
  @Flag(help: "Allow http: to other machines: every machine on the way sees and can change the bytes.")
  var insecureHttp = false

  func validate() throws {
    guard (stall?.duration ?? .seconds(1)) > .zero else { throw ValidationError("--stall must be more than 0.") }
  }

  /// As backends are given them.
  var settings: BackendSettings {
    BackendSettings {
      $0[.trustedAuthorities] = tlsCa
      $0[.trustBundle] = trustBundle
      $0[.clientCertificate] = tlsCert
      $0[.clientKey] = tlsKey
      $0[.proxy] = proxy
      $0[.proxyAuthorities] = proxyCa
      $0[.tokenFile] = tokenFile
      $0[.requestKey] = requestKey
      $0[.responseKey] = responseKey
      $0[.sshKey] = sshKey
      $0[.knownHosts] = knownHosts
      $0[.author] = author
      $0[.stallLimit] = stall?.duration
      $0[.rateLimit] = limitRate.map { Int(clamping: $0.bytes) }
      $0[.fullPollInterval] = fullPoll?.duration
      if acceptNewHostKey { $0[.acceptsNewHostKeys] = true }
      if allowTLS12 { $0[.allowsTLS12] = true }
      if insecureHttp { $0[.allowsPlainHTTP] = true }
    }
  }
}
