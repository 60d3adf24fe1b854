public import HTTPTypes

/// An HTTP client on libcurl: one configuration, one pool of kept connections, one thread.
///
/// Nothing in here blocks the cooperative pool. The thread ends when the transport and the exchanges
/// that came from it are let go of, or at ``shutdown()``.
public final class HTTPTransport: Sendable {
  public let configuration: HTTPTransportConfiguration
  private let owner: EngineOwner
  private var engine: Engine { owner.engine }

  /// Starts the transport's thread; connects to nothing yet.
  ///
  /// Throws ``HTTPTransportError`` (`configuration`) for what can never work.
  public init(configuration: HTTPTransportConfiguration = HTTPTransportConfiguration()) throws(HTTPTransportError) {
    try Self.check(configuration)
    self.configuration = configuration
    owner = EngineOwner(try Engine(configuration: configuration))
  }

  /// What went over the wire since the transport was made.
  public var counters: HTTPWireCounters { engine.meter.counters }

  /// Sends a request; returns when the header of the final response is there. The body follows.
  ///
  /// A request on a kept connection that turns out to be closed is sent once more on another, as
  /// long as no byte of an answer came (RFC 9112 section 9.3.1 lets clients do so for idempotent
  /// methods; libcurl does it for all, so give others an idempotency key). Cancelling the task ends
  /// the exchange at once.
  /// - Parameters:
  ///   - request: Absolute: with scheme and authority. Credentials belong in the configuration.
  ///   - body: What to send along; nil for a request without content.
  ///   - limits: Instead of the configuration's.
  ///   - deadline: For everything until the end of the body, instead of the configuration's timeout.
  /// - Throws: ``HTTPTransportError``. A response with an error status is not an error here.
  public func send(
    _ request: HTTPRequest, body: [UInt8]? = nil, limits: HTTPLimits? = nil,
    deadline: ContinuousClock.Instant? = nil, isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> HTTPExchange {
    var plan = try RequestPlan(request, body: body, configuration: configuration, limits: limits, deadline: deadline)
    var followed = 0
    while true {
      let handle = TransferHandle(engine.start(plan), owner)
      let (response, facts) = try await handle.transfer.head()
      switch plan.decide(on: response, followed: followed, configuration: configuration) {
      case .deliver: return HTTPExchange(plan, response, facts, handle)
      case .refuse(let error): throw error
      case .follow(let next): plan = next
      }
      followed += 1
    }
  }

  /// Fails what is under way with `shut-down`, closes every connection, and returns when that is done.
  public func shutdown() async {
    engine.stop()
    await engine.waitForEnd()
  }

  private static func check(_ configuration: HTTPTransportConfiguration) throws(HTTPTransportError) {
    switch configuration.credentials?.scheme {
    case .basic(let user, let password):
      guard !user.contains(":"), !user.isEmpty else {
        throw .configuration("A user name for basic credentials is neither empty nor holds a colon.")
      }
      guard !password.value.utf8.contains(0) else { throw .configuration("A password holds no NUL.") }
    case .bearer(let token):
      // RFC 6750 section 2.1; a line end in a token file would otherwise end the header field.
      guard !token.value.isEmpty, token.value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
        throw .configuration("A bearer token is not empty and holds only printable ASCII without spaces.")
      }
    case nil: break
    }
    guard TLSSession.isAvailable else {
      throw .configuration("This libcurl is not built on OpenSSL. Install the flavour that is (libcurl4, not -gnutls).")
    }
  }
}
