import DesiredState
import DesiredStateSupport
import HTTPBackendSupport
import HTTPTransport
import HTTPTypes

/// Git's protocol over HTTP (gitprotocol-http(5)), on this package's own transport.
final class HTTPGitTransport: GitTransport {
  private let transport: HTTPTransport
  private let source: String
  /// Where requests go: the repository's URL, or where it redirects to.
  private let base: LockedValue<String>
  private let url: String
  let channel: String?
  var isStateless: Bool { true }

  /// - Throws: ``SourceAddressError`` if the URL or a setting cannot be used.
  init(url: String, source: String, settings: BackendSettings) throws {
    var url = url
    while url.hasSuffix("/") { url.removeLast() }
    let (plain, user) = try Self.withoutUser(url)
    let address = try HTTPSourceAddress.parse(plain, allowsPlainHTTP: TransportSettings.allowsPlainHTTP(settings))
    var configuration = try TransportSettings.configuration(settings, for: address.origin)
    if let user {
      // Hosts of repositories want a token as the password of a user, by basic authentication.
      guard case .bearer(let token) = configuration.credentials?.scheme else {
        throw SourceAddressError("the URL names a user, whose token or password belongs into the token file")
      }
      configuration.credentials?.scheme = .basic(user: user, password: token)
    }
    // A poll has its own time limit, and reading a pack other limits: see PackLimiter.
    configuration.timeout = .seconds(24 * 3600)
    configuration.limits = .body(.max)
    // GitHub and Bitbucket serve Git to programs that begin so, and web pages to others.
    configuration.userAgent = "git/2.0 (desired-state)"
    // Servers prepare a pack, or run the hooks of a push, for minutes; they send five bytes every few seconds meanwhile
    // (git-config(1), uploadpack.keepAlive), and a proxy that buffers holds even these back. The time limit of the
    // request ends an endless answer.
    configuration.stallLimit = HTTPStallLimit(
      bytesPerSecond: 1, for: settings[.stallLimit] ?? .seconds(300))
    transport = try TransportSettings.transport(configuration)
    channel = address.origin.scheme == "https" ? "TLS to \(address.origin)" : nil
    self.source = source
    self.url = plain
    base = LockedValue(plain)
  }

  /// What went over the wire.
  var counters: HTTPWireCounters { transport.counters }

  func reload() { transport.reload() }

  func withSession<Value: Sendable>(
    with service: GitService, _ body: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value {
    do {
      return try await body(HTTPGitSession(transport: self, service: service))
    } catch {
      // Where a redirect led may be gone by now: the next session begins where the address says.
      base.withLock { $0 = url }
      if let error = error as? HTTPTransportError { throw sourceError(error) }
      throw error
    }
  }

  private static func withoutUser(_ url: String) throws(SourceAddressError) -> (String, user: String?) {
    let start = url.firstRange(of: "://")?.upperBound ?? url.startIndex
    let authority = url[start...].prefix { $0 != "/" }
    guard let at = authority.lastIndex(of: "@") else { return (url, nil) }
    let user = authority[..<at]
    guard !user.contains(":") else {
      throw SourceAddressError(
        "the URL holds a password; put it into the token file, and leave it out of the URL")
    }
    guard let name = PercentEncoding.decode(user.utf8) else {
      throw SourceAddressError("the user's name in the URL cannot be read")
    }
    return (String(url[..<start]) + url[authority.index(after: at)...], name)
  }

  fileprivate func send(
    _ method: HTTPRequest.Method, _ path: String, _ service: GitService, answer type: String, body: [UInt8]?
  ) async throws -> HTTPExchange {
    let address = try HTTPAddress(base.withLock { $0 } + path)
    var fields = HTTPFields()
    if service == .uploadPack { fields[.gitProtocol] = "version=2" }
    if body != nil { fields[.contentType] = "application/x-\(service.rawValue)-request" }
    let exchange = try await transport.send(method, to: address, headerFields: fields, body: body)
    let status = exchange.response.status
    guard status == .ok else {
      if service == .receivePack, [401, 403, 404].contains(status.code) {
        // Servers hide, or ask again for, what these credentials may not write to.
        throw BackendError(
          .forbidden, "\(source) takes no push with these credentials (it answers \(status.code))")
      }
      var error = await BackendError.reading(exchange, of: source)
      if [203, 404].contains(status.code) {
        error = BackendError(
          error.code, "\(error.message) \(Self.credentialsAdvice)", isRetryable: error.isRetryable,
          retryAfter: error.retryAfter)
      }
      throw error
    }
    guard exchange.response.headerFields[.contentType]?.hasPrefix("application/x-\(service.rawValue)-\(type)") == true
    else {
      throw BackendError(
        .protocolViolation,
        "\(source) answers with something that is not git's protocol; check the address, and that nothing on the way asks to log in. \(Self.credentialsAdvice)"
      )
    }
    return exchange
  }

  /// Forges answer so to those who may not see a repository, as if it were not there, or with a page to log in.
  private static let credentialsAdvice =
    "A forge answers so, too, where the credentials are missing or may not read the repository: check the token, and the user that it belongs to."

  fileprivate func follow(_ effective: String, _ path: String) {
    // Later requests are POST, which is not redirected: they go where this one ended.
    guard effective.hasSuffix(path) else { return }
    base.withLock { $0 = String(effective.dropLast(path.utf8.count)) }
  }

  fileprivate func reader(_ exchange: HTTPExchange) -> PacketReader {
    PacketReader(HTTPByteSource(exchange.body.makeAsyncIterator()), endsWithAnswer: true)
  }
}

private struct HTTPGitSession: GitSession {
  let transport: HTTPGitTransport
  let service: GitService

  func advertisement() async throws -> PacketReader {
    let path = "/info/refs?service=\(service.rawValue)"
    let exchange = try await transport.send(.get, path, service, answer: "advertisement", body: nil)
    transport.follow(exchange.effectiveURL, path)
    return transport.reader(exchange)
  }

  func ask(_ request: [UInt8]) async throws -> PacketReader {
    transport.reader(try await transport.send(.post, "/\(service.rawValue)", service, answer: "result", body: request))
  }
}

private final class HTTPByteSource: ByteSource {
  private var body: HTTPResponseBody.Iterator

  init(_ body: HTTPResponseBody.Iterator) { self.body = body }

  func next() async throws -> [UInt8]? { try await body.next(isolation: nil) }
}

extension HTTPField.Name {
  fileprivate static let gitProtocol = HTTPField.Name("Git-Protocol")!
}
