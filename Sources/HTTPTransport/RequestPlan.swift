import HTTPTypes

/// One request, checked and ready to be sent: everything the engine has to know of it.
struct RequestPlan: Sendable {
  var method: HTTPRequest.Method
  var address: HTTPAddress
  var headerFields: HTTPFields
  var body: [UInt8]?
  var limits: HTTPLimits
  var deadline: ContinuousClock.Instant
  /// Only if they are for this address, and the request has no `Authorization` of its own.
  var credentials: HTTPCredentials.Scheme?

  /// - Throws: ``HTTPTransportError`` (`invalid-request`) for a request that is none to send.
  init(
    _ request: HTTPRequest, body: [UInt8]?, configuration: HTTPTransportConfiguration, limits: HTTPLimits?,
    deadline: ContinuousClock.Instant?
  ) throws(HTTPTransportError) {
    guard let scheme = request.scheme, let authority = request.authority else {
      throw .invalidRequest("The request has no scheme or no authority. Only absolute requests can be sent.")
    }
    let path = request.path ?? "/"
    // What would let the authority swallow the path, or the other way round, is refused before any parser sees it.
    guard authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"/?#@\\".utf8.contains($0) }) else {
      throw .invalidRequest("The request's authority holds a character that no authority may hold.")
    }
    guard path.utf8.first == UInt8(ascii: "/"),
      path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
    else {
      throw .invalidRequest("The request's path has to begin with / and to be percent-encoded.")
    }
    try self.init(
      request.method, try HTTPAddress("\(scheme)://\(authority)\(path)"), headerFields: request.headerFields,
      body: body,
      configuration: configuration, limits: limits, deadline: deadline)
  }

  /// The same where the address has been read already, which costs as much as all the rest of a plan.
  init(
    _ method: HTTPRequest.Method, _ address: HTTPAddress, headerFields: HTTPFields, body: [UInt8]?,
    configuration: HTTPTransportConfiguration, limits: HTTPLimits?, deadline: ContinuousClock.Instant?
  ) throws(HTTPTransportError) {
    for field in headerFields where Self.transportFields.contains(field.name.canonicalName) {
      throw .invalidRequest("The transport sets the header field \(field.name) itself. Leave it out.")
    }
    self.method = method
    self.address = address
    self.headerFields = headerFields
    self.body = body
    self.limits = limits ?? configuration.limits
    self.deadline = deadline ?? .now + configuration.timeout
    if let credentials = configuration.credentials, credentials.origin == address.origin,
      !headerFields.contains(.authorization)
    {
      self.credentials = credentials.scheme
    }
  }

  /// Fields that describe the connection or the framing, which are libcurl's to write.
  private static let transportFields: Set<String> = [
    "host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "expect", "keep-alive",
    "proxy-authorization", "proxy-connection", "trailer",
  ]

  /// Whether anything secret goes along that must not reach another origin.
  func carriesCredentials(_ configuration: HTTPTransportConfiguration) -> Bool {
    credentials != nil || configuration.tls.clientCertificate != nil
      || headerFields.contains(.authorization) || headerFields.contains(.cookie)
  }
}
