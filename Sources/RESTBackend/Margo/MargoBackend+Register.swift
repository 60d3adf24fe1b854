public import DesiredState
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
        BackendSetting<String>.capabilities.key,
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
        if clientID == nil { configuration = try mutualTLS(configuration) }
        return try MargoBackend(
          base: base, clientID: clientID, transport: try TransportSettings.transport(configuration),
          signRequest: key.flatMap { file in clientID.map { signature(by: { file.key }, keyID: $0) } },
          responseKey: try TransportSettings.responseKey(context.settings), allowsPlainHTTP: allowsPlainHTTP,
          reports: context.recordDirectory.map { CapabilityReports(below: $0) },
          capabilitiesFile: context.settings[.capabilities], logger: context.logger)
      }
    }
  }
}

extension BackendSetting where Value == String {
  /// A file with what fleet managers are to know of this device and of those behind it (JSON): one object, or an array.
  public static let capabilities = BackendSetting("capabilities", "the device's capabilities")
}
