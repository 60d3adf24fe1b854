import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
import HTTPTransport
import MargoDocuments

/// Where things are in the Margo Workload Management API, in both of its forms.
struct MargoAPI: Sendable {
  /// What `/api/v1` comes after.
  private let base: HTTPAddress
  private let prefix: String

  /// - Parameter clientID: nil for the form of 1.0.0-rc.3.
  init(base: HTTPAddress, clientID: String?) {
    self.base = base
    prefix = clientID.map { "/api/v1/clients/\(PercentEncoding.encode(segment: $0))" } ?? "/api/v1"
  }

  /// The API as it is shown: without the query that the base may have.
  var root: String { "\(base.origin)\(basePath)" + (prefix == "/api/v1" ? "" : prefix) }

  /// What vouches for answers; nil if nothing does.
  var channel: String? { base.origin.scheme == "https" ? "TLS to \(base.origin)" : nil }

  /// `GET …/deployments`.
  var manifest: HTTPAddress {
    get throws(BackendError) { try resolve(prefix + "/deployments") }
  }

  /// `POST /api/v1/onboarding`.
  var onboarding: HTTPAddress {
    get throws(BackendError) { try resolve("/api/v1/onboarding") }
  }

  /// `GET /api/v1/onboarding/certificate`.
  var rootCertificate: HTTPAddress {
    get throws(BackendError) { try resolve("/api/v1/onboarding/certificate") }
  }

  /// Whether it is the form whose paths name the client.
  var namesClient: Bool { prefix != "/api/v1" }

  /// `PUT`, `POST` and `DELETE …/capabilities/{deviceId}`. The slashes of an id are the path's: they say which device is
  /// behind which.
  func capabilities(of id: DeviceID) throws(BackendError) -> HTTPAddress {
    try resolve("\(prefix)/capabilities/\(id)")
  }

  /// `POST …/deployments/{deploymentId}/status`.
  func status(of id: String) throws(BackendError) -> HTTPAddress {
    try resolve("\(prefix)/deployments/\(PercentEncoding.encode(segment: id))/status")
  }

  /// `GET …/deployments/{deploymentId}/{digest}`, or where the manifest says.
  func address(of document: DocumentReference) throws -> HTTPAddress {
    guard let url = document.url else {
      return try resolve(
        "\(prefix)/deployments/\(PercentEncoding.encode(segment: document.id))/\(document.digest)")
    }
    return try locate(url, "document '\(document.id)'")
  }

  /// `GET …/bundles/{digest}`, or where the manifest says.
  func address(of bundle: StateManifest.BundleReference) throws -> HTTPAddress {
    try locate(bundle.url, "the bundle")
  }

  /// Resolves a `url` of the manifest against the API's base. The specification writes them from `/api/v1` on, which is
  /// below the base wherever that is; nothing leads to another origin, where this device's credentials have no business.
  private func locate(_ url: String, _ what: String) throws -> HTTPAddress {
    let isBelowBase = url.hasPrefix("/") && !url.hasPrefix("//") && !url.hasPrefix(basePath + "/")
    let address: HTTPAddress
    do throws(HTTPTransportError) {
      address = try base.resolving(isBelowBase ? basePath + url : url.hasPrefix("/") ? url : relative(url))
    } catch {
      throw VerificationError(.documentMissing, "\(what) has a url that cannot be read: \(error.message)")
    }
    guard address.origin == base.origin else {
      throw VerificationError(
        .documentMissing, "\(what) is said to be at \(address.origin), which is not this manager (\(base.origin))")
    }
    return address
  }

  /// A reference without a leading slash is relative to the base as a folder; one with a scheme stays as it is.
  private func relative(_ url: String) -> String {
    let isAbsolute = url.firstIndex(of: ":").map { colon in !url[..<colon].contains("/") } ?? false
    return isAbsolute ? url : "\(basePath)/\(url)"
  }

  /// The base's path without its final slash; empty for a bare origin.
  private var basePath: String {
    let path = base.target.prefix { $0 != "?" }
    return String(path.hasSuffix("/") ? path.dropLast() : path)
  }

  private func resolve(_ path: String) throws(BackendError) -> HTTPAddress {
    do throws(HTTPTransportError) {
      return try base.resolving(basePath + path)
    } catch {
      throw BackendError(error)
    }
  }
}
