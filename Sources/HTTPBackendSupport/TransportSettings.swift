package import DesiredState
import DesiredStateSupport
package import HTTPMessageSignatures
package import HTTPTransport

/// The settings of a ``BackendContext`` that say how to reach an HTTP server, as the command line names them.
package enum TransportSettings {
  /// The names, without the dashes.
  package static let names: Set<String> = [
    "tls-ca", "tls-cert", "tls-key", "proxy", "proxy-ca", "token-file", "insecure-http", "allow-tls-1.2",
  ]

  /// Whether `http:` may be used to reach other machines.
  package static func allowsPlainHTTP(_ settings: [String: String]) -> Bool { settings["insecure-http"] == "true" }

  /// A transport for a source, from a ``configuration(_:for:)``.
  package static func transport(
    _ configuration: HTTPTransportConfiguration
  ) throws(SourceAddressError) -> HTTPTransport {
    var configuration = configuration
    // One connection carries what is fetched ahead, and leaves room for whoever looks meanwhile.
    configuration.maximumConcurrentExchanges = 256
    do throws(HTTPTransportError) {
      return try HTTPTransport(configuration: configuration)
    } catch {
      throw SourceAddressError(error.message)
    }
  }

  /// A transport's configuration as settings have it; what they do not name is as the transport has it by itself.
  ///
  /// - Parameter origin: the only one that is shown the token.
  /// - Throws: ``SourceAddressError`` if a setting cannot work, with what to do about it.
  package static func configuration(
    _ settings: [String: String], for origin: HTTPOrigin
  ) throws(SourceAddressError) -> HTTPTransportConfiguration {
    var configuration = HTTPTransportConfiguration()
    if settings["allow-tls-1.2"] == "true" { configuration.tls.minimumVersion = .tls12 }
    configuration.tls.trust = settings["tls-ca"].map(HTTPTrustRoots.only(file:)) ?? .system
    switch (settings["tls-cert"], settings["tls-key"]) {
    case (let certificate?, let key?):
      configuration.tls.clientCertificate = HTTPClientCertificate(certificateFile: certificate, keyFile: key)
    case (nil, nil): break
    default: throw SourceAddressError("--tls-cert and --tls-key go together: a certificate and its private key")
    }
    if let proxy = settings["proxy"] {
      let trust = settings["proxy-ca"].map(HTTPTrustRoots.only(file:)) ?? .system
      do { configuration.proxy = .proxy(try HTTPProxy(proxy, trust: trust)) } catch {
        throw SourceAddressError(error.message)
      }
    } else if settings["proxy-ca"] != nil {
      throw SourceAddressError("--proxy-ca goes with --proxy")
    }
    if let path = settings["token-file"] {
      configuration.credentials = HTTPCredentials(.bearer(try token(in: path)), for: origin)
    }
    for name in ["tls-ca", "tls-cert", "tls-key", "proxy-ca"] {
      guard let path = settings[name] else { continue }
      try checkReadable(path, named: name)
    }
    return configuration
  }

  /// The transport that settings make to the origin of a URL.
  package static func transport(
    _ settings: [String: String], to url: String
  ) throws(SourceAddressError) -> HTTPTransport {
    let origin = try HTTPSourceAddress.parse(url, allowsPlainHTTP: allowsPlainHTTP(settings)).origin
    return try transport(try configuration(settings, for: origin))
  }

  /// The key that signs requests (`request-key`); nil if there is none.
  package static func requestKey(_ settings: [String: String]) throws(SourceAddressError) -> HTTPSigningKey? {
    try key("request-key", settings) { pem throws(HTTPSignatureError) in try HTTPSigningKey(pem: pem) }
  }

  /// The key that responses are signed with (`response-key`); nil if there is none.
  package static func responseKey(_ settings: [String: String]) throws(SourceAddressError) -> HTTPVerificationKey? {
    try key("response-key", settings) { pem throws(HTTPSignatureError) in try HTTPVerificationKey(pem: pem) }
  }

  private static func key<Key>(
    _ name: String, _ settings: [String: String], _ read: (String) throws(HTTPSignatureError) -> Key
  ) throws(SourceAddressError) -> Key? {
    guard let path = settings[name] else { return nil }
    try checkReadable(path, named: name)
    let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil
    do throws(HTTPSignatureError) {
      return try read(String(decoding: bytes ?? [], as: UTF8.self))
    } catch {
      throw SourceAddressError("--\(name): \(path): \(error.message)")
    }
  }

  /// The bearer token in a file, without the line end that editors leave.
  private static func token(in path: String) throws(SourceAddressError) -> HTTPSecret {
    try checkReadable(path, named: "token-file")
    let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil
    let words = String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard let token = words.first else { throw SourceAddressError("--token-file: \(path) holds no token") }
    guard words.count == 1 else {
      throw SourceAddressError("--token-file: \(path) holds more than a token; leave out 'Bearer' and everything else")
    }
    return HTTPSecret(String(token))
  }

  /// That the file of a setting can be read: libcurl and ssh would only complain at the first request, and not of the setting.
  package static func checkReadable(_ path: String, named name: String) throws(SourceAddressError) {
    do { _ = try OpenFile.reading(path) } catch { throw SourceAddressError("--\(name): \(error)") }
  }
}
