public import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
import HTTPTransport

extension MargoBackend {
  /// Lets this backend serve `margo+https:` and `margo+http:`.
  ///
  /// `client=` in the query of the address chooses the client-id form. The context's device is `deviceId`.
  public static func register(in registry: inout BackendRegistry) {
    for scheme in ["https", "http"] {
      let settings = TransportSettings.keys.union([
        TransportSettings.Setting.requestKey.key, TransportSettings.Setting.responseKey.key,
        BackendSetting<String>.capabilities.key, BackendSetting<String>.trustBundle.key,
      ])
      registry.register("margo+" + scheme, settings: settings) {
        address, context in
        if let other = address.query.keys.first(where: { $0 != "client" }) {
          throw SourceAddressError("margo+\(scheme): has 'client' in its query, and nothing named '\(other)'")
        }
        let base = scheme + ":" + address.location
        let allowsPlainHTTP = TransportSettings.allowsPlainHTTP(context.settings)
        let origin = try HTTPSourceAddress.parse(base, allowsPlainHTTP: allowsPlainHTTP).origin
        var configuration = try TransportSettings.configuration(context.settings, for: origin)
        let clientID = address.query["client"]
        guard clientID?.isEmpty != true else {
          throw SourceAddressError("'client=' names no client; leave it out, or give the id that onboarding printed")
        }
        guard clientID != nil || context.settings[.requestKey] == nil else {
          throw SourceAddressError("the request key is for the client-id form: add ?client=ID to the address")
        }
        let key = try TransportSettings.requestKey(context.settings)
        let bootstrap = configuration
        if clientID == nil { configuration = try mutualTLS(configuration) }
        let bundle = try context.settings[.trustBundle].map { url throws(SourceAddressError) in
          try trustBundle(at: url, for: &configuration, bootstrap, context)
        }
        return try MargoBackend(
          base: base, clientID: clientID, transport: try TransportSettings.transport(configuration),
          signRequest: key.flatMap { file in clientID.map { signature(by: { file.key }, keyID: $0) } },
          responseKey: try TransportSettings.responseKey(context.settings), allowsPlainHTTP: allowsPlainHTTP,
          reports: context.recordDirectory.map { CapabilityReports(below: $0) },
          capabilitiesFile: context.settings[.capabilities], logger: context.logger, trustBundle: bundle)
      }
    }
  }
}

extension MargoBackend {
  /// The authorities of the client's own trust domain from where they are published, in place of those of the configuration:
  /// by these the publisher is believed.
  private static func trustBundle(
    at url: String, for configuration: inout HTTPTransportConfiguration, _ bootstrap: HTTPTransportConfiguration,
    _ context: BackendContext
  ) throws(SourceAddressError) -> TrustBundle {
    guard let trustDomain = configuration.tls.expectedServerIdentity?.trustDomain else {
      throw SourceAddressError(
        "a trust bundle needs a client certificate with a SPIFFE ID, which says whose it has to be")
    }
    guard let directory = context.recordDirectory else {
      throw SourceAddressError("a trust bundle needs a store, so that it is there when it cannot be fetched")
    }
    var bootstrap = bootstrap
    bootstrap.tls.clientCertificate = nil
    bootstrap.credentials = nil
    let bundle = try TrustBundle(
      url: url, trustDomain: trustDomain,
      directory: Files.join(directory, "trust-bundle"), transport: try TransportSettings.transport(bootstrap),
      logger: context.logger)
    configuration.tls.trust = .only(file: bundle.file)
    return bundle
  }
}

extension BackendSetting where Value == String {
  /// The https address of a fleet manager's trust bundle, or of the discovery document that names it (`/.well-known/margo`).
  /// Its authorities are believed in place of ``BackendSetting/trustedAuthorities``, which are for the bundle's server then.
  public static let trustBundle = BackendSetting("trust-bundle", "the trust bundle's address")
  /// A file with what fleet managers are to know of this device and of those behind it (JSON): one object, or an array.
  public static let capabilities = BackendSetting("capabilities", "the device's capabilities")
}
