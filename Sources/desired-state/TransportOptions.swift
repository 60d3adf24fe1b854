import ArgumentParser

/// How sources on other machines are reached. Each source uses what it has a use for.
struct TransportOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Believe only servers certified by these authorities (PEM).", valueName: "file"))
  var tlsCa: String?
  @Option(help: ArgumentHelp("This device's certificate and intermediates (PEM).", valueName: "file"))
  var tlsCert: String?
  @Option(help: ArgumentHelp("The private key of --tls-cert (PEM).", valueName: "file"))
  var tlsKey: String?
  @Option(help: ArgumentHelp("Go through this proxy: http://[user:password@]host:port, or https:.", valueName: "url"))
  var proxy: String?
  @Option(help: ArgumentHelp("Believe only an https proxy certified by these authorities (PEM).", valueName: "file"))
  var proxyCa: String?
  @Option(help: ArgumentHelp("Show the bearer token in this file to the source.", valueName: "file"))
  var tokenFile: String?
  @Option(
    help: ArgumentHelp(
      "Sign requests with this private key (PEM), as a fleet manager of the client-id form wants.", valueName: "file"))
  var requestKey: String?
  @Flag(help: "Allow http: to other machines: everybody on the way sees and can change what is sent.")
  var insecureHttp = false

  /// As backends are given them: named as on the command line.
  var settings: [String: String] {
    var settings: [String: String] = [:]
    settings["tls-ca"] = tlsCa
    settings["tls-cert"] = tlsCert
    settings["tls-key"] = tlsKey
    settings["proxy"] = proxy
    settings["proxy-ca"] = proxyCa
    settings["token-file"] = tokenFile
    settings["request-key"] = requestKey
    if insecureHttp { settings["insecure-http"] = "true" }
    return settings
  }
}
