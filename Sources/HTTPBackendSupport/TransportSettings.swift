package import DesiredState
import DesiredStateSupport
package import HTTPMessageSignatures
package import HTTPTransport

/// The settings of a ``BackendContext`` that say how to reach an HTTP server.
package enum TransportSettings {
  package typealias Setting = BackendSetting<String>

  /// Those that every backend over HTTP uses.
  package static let keys: Set<BackendSettings.Key> = [
    Setting.trustedAuthorities.key, Setting.clientCertificate.key, Setting.clientKey.key, Setting.proxy.key,
    Setting.proxyAuthorities.key, Setting.tokenFile.key, BackendSetting<Bool>.allowsPlainHTTP.key,
    BackendSetting<Bool>.allowsTLS12.key, BackendSetting<Duration>.stallLimit.key, BackendSetting<Int>.rateLimit.key,
  ]

  /// What requests say who sends them.
  package static let userAgent = "desired-state/1.0"

  /// Whether `http:` may be used to reach other machines.
  package static func allowsPlainHTTP(_ settings: BackendSettings) -> Bool { settings[.allowsPlainHTTP] == true }

  /// A transport for a source, from a ``configuration(_:for:)``.
  package static func transport(
    _ configuration: HTTPTransportConfiguration
  ) throws(SourceAddressError) -> HTTPTransport {
    var configuration = configuration
    // One connection carries the prefetched documents, and leaves room for a poll meanwhile.
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
    _ settings: BackendSettings, for origin: HTTPOrigin
  ) throws(SourceAddressError) -> HTTPTransportConfiguration {
    var configuration = HTTPTransportConfiguration()
    if settings[.allowsTLS12] == true { configuration.tls.minimumVersion = .tls12 }
    configuration.tls.trust = settings[.trustedAuthorities].map(HTTPTrustRoots.only(file:)) ?? .system
    switch (settings[.clientCertificate], settings[.clientKey]) {
    case (let certificate?, let key?):
      configuration.tls.clientCertificate = HTTPClientCertificate(certificateFile: certificate, keyFile: key)
    case (nil, nil): break
    default: throw SourceAddressError("\(Setting.clientCertificate.key) and \(Setting.clientKey.key) go together")
    }
    if let limit = settings[.stallLimit] { configuration.stallLimit = HTTPStallLimit(for: limit) }
    configuration.maximumBytesPerSecond = settings[.rateLimit]
    configuration.userAgent = userAgent
    if settings[.proxy] == "environment" {
      configuration.proxy = .environment
      guard settings[.proxyAuthorities] == nil else {
        throw SourceAddressError("\(Setting.proxyAuthorities.key) cannot be set for a proxy of the environment's")
      }
    } else if let proxy = settings[.proxy] {
      let trust = settings[.proxyAuthorities].map(HTTPTrustRoots.only(file:)) ?? .system
      do { configuration.proxy = .proxy(try HTTPProxy(proxy, trust: trust)) } catch {
        throw SourceAddressError(error.message)
      }
    } else if settings[.proxyAuthorities] != nil {
      throw SourceAddressError("\(Setting.proxyAuthorities.key) need \(Setting.proxy.key)")
    }
    if let path = settings[.tokenFile] {
      try checkToken(in: path)
      configuration.credentials = HTTPCredentials(.bearer(HTTPSecret(file: path)), for: origin)
    }
    for setting in [Setting.trustedAuthorities, .clientCertificate, .clientKey, .proxyAuthorities] {
      guard let path = settings[setting] else { continue }
      try checkReadable(path, as: setting)
    }
    return configuration
  }

  /// The transport that settings make to the origin of a URL.
  package static func transport(
    _ settings: BackendSettings, to url: String
  ) throws(SourceAddressError) -> HTTPTransport {
    let origin = try HTTPSourceAddress.parse(url, allowsPlainHTTP: allowsPlainHTTP(settings)).origin
    return try transport(try configuration(settings, for: origin))
  }

  /// The key that signs requests, by its file; nil if there is none.
  package static func requestKey(_ settings: BackendSettings) throws(SourceAddressError) -> RequestKeyFile? {
    guard let path = settings[.requestKey],
      let key = try key(.requestKey, settings, { pem throws(HTTPSignatureError) in try HTTPSigningKey(pem: pem) })
    else { return nil }
    return RequestKeyFile(path, holding: key)
  }

  /// The key that responses are signed with; nil if there is none.
  package static func responseKey(_ settings: BackendSettings) throws(SourceAddressError) -> HTTPVerificationKey? {
    try key(.responseKey, settings) { pem throws(HTTPSignatureError) in try HTTPVerificationKey(pem: pem) }
  }

  private static func key<Key>(
    _ setting: Setting, _ settings: BackendSettings, _ read: (String) throws(HTTPSignatureError) -> Key
  ) throws(SourceAddressError) -> Key? {
    guard let path = settings[setting] else { return nil }
    try checkReadable(path, as: setting)
    let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil
    do throws(HTTPSignatureError) {
      return try read(String(decoding: bytes ?? [], as: UTF8.self))
    } catch {
      throw SourceAddressError("\(setting.key) in \(path) cannot be used: \(error.message)")
    }
  }

  /// That a file holds a bearer token. It is read again when it changes, and what it held before counts as long as it holds
  /// none.
  private static func checkToken(in path: String) throws(SourceAddressError) {
    try checkReadable(path, as: .tokenFile)
    let bytes = (try? Files.read(path, limit: 1 << 16)) ?? nil
    let words = String(decoding: bytes ?? [], as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard !words.isEmpty else { throw SourceAddressError("\(Setting.tokenFile.key) \(path) holds no token") }
    guard words.count == 1 else {
      throw SourceAddressError(
        "\(Setting.tokenFile.key) \(path) holds more than a token; leave out 'Bearer' and everything else")
    }
  }

  /// That the file of a setting can be read: libcurl and ssh would only complain at the first request, and not of the setting.
  package static func checkReadable(_ path: String, as setting: Setting) throws(SourceAddressError) {
    do { _ = try OpenFile.reading(path) } catch { throw SourceAddressError("\(setting.key) cannot be read: \(error)") }
  }
}
