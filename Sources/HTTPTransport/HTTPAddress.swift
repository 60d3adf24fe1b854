import CCurl
public import HTTPTypes

/// An absolute URL as libcurl reads it.
///
/// Parsed by libcurl's own parser, so that the checked address and the one that libcurl connects to can
/// never be two different hosts.
public struct HTTPAddress: Sendable, Hashable, CustomStringConvertible {
  /// Scheme, host and port.
  public let origin: HTTPOrigin
  /// Without fragment; with the query, which may hold a signature or a token: do not log it.
  public let url: String
  /// The path and query, as sent.
  public let target: String
  /// For messages: without the query.
  public var description: String { "\(origin)\(target.prefix { $0 != "?" })" }

  /// Parses an absolute URL, keeping its path as it is.
  ///
  /// Throws ``HTTPTransportError`` (`invalid-request`) when it is not an `http` or `https` URL, or
  /// holds a user name or password.
  public init(_ url: String) throws(HTTPTransportError) {
    try self.init(url, relativeTo: nil)
  }

  /// Resolves a reference, such as a redirect's `Location`, against this address (RFC 3986 section 5.2).
  ///
  /// Throws ``HTTPTransportError`` (`invalid-request`) as ``init(_:)`` does.
  public func resolving(_ reference: String) throws(HTTPTransportError) -> HTTPAddress {
    try HTTPAddress(reference, relativeTo: url)
  }

  /// A request for this address.
  public func request(_ method: HTTPRequest.Method = .get, headerFields: HTTPFields = [:]) -> HTTPRequest {
    HTTPRequest(
      method: method, scheme: origin.scheme, authority: origin.authority, path: target, headerFields: headerFields)
  }

  private init(_ url: String, relativeTo base: String?) throws(HTTPTransportError) {
    // libcurl forgives a third slash, and would take the first folder for the host.
    guard !["http:///", "https:///"].contains(where: { url.lowercased().hasPrefix($0) }) else {
      throw .invalidRequest("The URL names no host.")
    }
    guard let parser = curl_url() else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.")
    }
    defer { curl_url_cleanup(parser) }
    // curl_url_set(3): a second set of CURLUPART_URL with a relative URL resolves it against the first.
    if let base { _ = curl_url_set(parser, CURLUPART_URL, base, UInt32(CURLU_PATH_AS_IS)) }
    let flags = base == nil ? CURLU_PATH_AS_IS : CURLU_URLENCODE
    let code = curl_url_set(parser, CURLUPART_URL, url, UInt32(flags | CURLU_DISALLOW_USER))
    if code == CURLUE_USER_NOT_ALLOWED {
      throw .invalidRequest(
        "The URL holds a user name or password. Take them out of the URL and configure credentials instead.")
    }
    guard code == CURLUE_OK else {
      throw .invalidRequest("The URL cannot be read: \(String(cString: curl_url_strerror(code))).")
    }
    curl_url_set(parser, CURLUPART_FRAGMENT, nil, 0)
    func part(_ part: CURLUPart, _ flags: Int32 = 0) -> String? {
      var text: UnsafeMutablePointer<CChar>?
      guard curl_url_get(parser, part, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
      // curl_url_get(3): the caller frees the returned string with curl_free.
      defer { curl_free(text) }
      return String(cString: text)
    }
    guard let scheme = part(CURLUPART_SCHEME)?.lowercased(), scheme == "http" || scheme == "https" else {
      throw .invalidRequest("Only http and https URLs are supported.")
    }
    guard let host = part(CURLUPART_HOST)?.lowercased(), !host.isEmpty,
      let port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT).flatMap(Int.init),
      let whole = part(CURLUPART_URL)
    else {
      throw .invalidRequest("The URL names no host.")
    }
    origin = HTTPOrigin(scheme: scheme, host: host, port: port)
    self.url = whole
    target = (part(CURLUPART_PATH) ?? "/") + (part(CURLUPART_QUERY).map { "?" + $0 } ?? "")
  }
}
