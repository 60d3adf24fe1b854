import CCurl
import Glibc

/// A proxy: `http:` or `https:`. https requests go through it by CONNECT, end to end encrypted.
public struct HTTPProxy: Sendable, Hashable {
  /// Where the proxy is, and whether the way to it is encrypted.
  public let origin: HTTPOrigin
  /// For `Proxy-Authorization: Basic`.
  public var user: String?
  /// For `Proxy-Authorization: Basic`.
  public var password: HTTPSecret?
  /// Whose certificates an https proxy may show.
  public var trust: HTTPTrustRoots

  /// A proxy by its URL; a user name and password in it become ``user`` and ``password``.
  ///
  /// Without a port, the scheme's own. Throws ``HTTPTransportError`` (`configuration`) when it is
  /// not an `http` or `https` URL.
  public init(_ url: String, trust: HTTPTrustRoots = .system) throws(HTTPTransportError) {
    guard let parser = curl_url() else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.")
    }
    defer { curl_url_cleanup(parser) }
    func part(_ part: CURLUPart, _ flags: Int32 = 0) -> String? {
      var text: UnsafeMutablePointer<CChar>?
      guard curl_url_get(parser, part, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
      defer { curl_free(text) }
      return String(cString: text)
    }
    guard curl_url_set(parser, CURLUPART_URL, url, 0) == CURLUE_OK,
      let scheme = part(CURLUPART_SCHEME)?.lowercased(), scheme == "http" || scheme == "https",
      let host = part(CURLUPART_HOST)?.lowercased(),
      let port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT).flatMap(Int.init)
    else {
      throw .configuration("The proxy's address is not a URL such as http://proxy.example:3128.")
    }
    origin = HTTPOrigin(scheme: scheme, host: host, port: port)
    user = part(CURLUPART_USER, CURLU_URLDECODE)
    password = part(CURLUPART_PASSWORD, CURLU_URLDECODE).map { HTTPSecret($0) }
    self.trust = trust
  }
}

extension HTTPProxy {
  /// The variables that name proxies for https (libcurl-env(3)).
  package static let environmentVariables = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]

  /// The variable by which the environment names a proxy for https; nil if it names none.
  package static var environmentVariable: String? {
    environmentVariables.first { name in getenv(name).map { $0.pointee != 0 } ?? false }
  }

  /// The passwords of the proxies that the environment names, and the forms in which they are sent.
  static var environmentSecrets: [String] {
    (environmentVariables + ["http_proxy"]).compactMap { getenv($0).map { String(cString: $0) } }
      .flatMap { url -> [String] in
        guard let proxy = try? HTTPProxy(url), let password = proxy.password?.value else { return [] }
        return [password, HTTPCredentials.basic(proxy.user ?? "", password)]
      }
  }
}

/// Whether requests go through a proxy.
public enum HTTPProxyChoice: Sendable, Hashable {
  /// Straight to the server, whatever the environment says.
  case direct
  /// Through this one, for every host, whatever `no_proxy` says.
  case proxy(HTTPProxy)
  /// As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say (libcurl-env(3)).
  case environment
}
