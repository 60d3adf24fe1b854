import DesiredStateSupport
public import HTTPTypes

/// An HTTP client on libcurl: one configuration, one pool of kept connections, one thread.
///
/// Connections have an age, and one that fell silent is not used again: then a new pool takes over, with a thread of its
/// own, and the one before ends with its last exchange. So do both at ``shutdown()``, and when the transport and the exchanges
/// that came from it are let go of. Nothing in here blocks the cooperative pool.
public final class HTTPTransport: Sendable {
  /// The configuration that it was made with.
  public let configuration: HTTPTransportConfiguration
  private let meter: WireMeter
  private let files: TLSFiles
  private let secrets: SecretFiles

  private struct State: Sendable {
    var owner: EngineOwner
    /// Those before, which may still have exchanges under way.
    var retired: [Engine] = []
    var isShutDown = false
  }

  private let state: LockedValue<State>

  /// Starts the transport's thread; connects to nothing yet.
  ///
  /// Throws ``HTTPTransportError`` (`configuration`) for what can never work.
  public init(configuration: HTTPTransportConfiguration = HTTPTransportConfiguration()) throws(HTTPTransportError) {
    try Engine.prepareLibraries()
    try Self.check(configuration)
    self.configuration = configuration
    meter = WireMeter(configuration)
    files = TLSFiles(configuration)
    secrets = SecretFiles(configuration)
    let engine = try Engine(configuration: configuration, meter: meter, files: files, secrets: secrets)
    state = LockedValue(State(owner: EngineOwner(engine)))
  }

  /// What went over the wire since the transport was made.
  public var counters: HTTPWireCounters { meter.counters }

  /// Reads every file of the configuration again at the next request, which goes over a new connection: names are looked up
  /// again, certificates checked again. Exchanges under way go on.
  public func reload() {
    files.lookAgain()
    secrets.lookAgain()
    state.withLock { $0.owner.engine.retire() }
  }

  /// Begins an exchange, on new connections if those there are too old or fell silent.
  private func begin(_ plan: RequestPlan) throws(HTTPTransportError) -> TransferHandle {
    let owner = try state.withLock { (state) throws(HTTPTransportError) -> EngineOwner in
      if state.isShutDown || state.owner.engine.takesMore(.now) { return state.owner }
      let engine = try Engine(configuration: configuration, meter: meter, files: files, secrets: secrets)
      _ = engine.takesMore(.now)
      state.retired = state.retired.filter { !$0.hasEnded } + [state.owner.engine]
      state.owner = EngineOwner(engine)
      return state.owner
    }
    return TransferHandle(owner.engine.start(plan), owner)
  }

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
  ///   - isolation: the caller's.
  /// - Throws: ``HTTPTransportError``. A response with an error status is not an error here.
  public func send(
    _ request: HTTPRequest, body: [UInt8]? = nil, limits: HTTPLimits? = nil,
    deadline: ContinuousClock.Instant? = nil, isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> HTTPExchange {
    try await send(
      try RequestPlan(request, body: body, configuration: configuration, limits: limits, deadline: deadline))
  }

  /// The same for an address that has been read already.
  ///
  /// - Parameters:
  ///   - method: what is to be done with it (RFC 9110 section 9).
  ///   - address: where it goes.
  ///   - headerFields: what else it says. Credentials belong in the configuration.
  ///   - body: What to send along; nil for a request without content.
  ///   - limits: Instead of the configuration's.
  ///   - deadline: For everything until the end of the body, instead of the configuration's timeout.
  ///   - isolation: the caller's.
  /// - Throws: ``HTTPTransportError``. A response with an error status is not an error here.
  public func send(
    _ method: HTTPRequest.Method, to address: HTTPAddress, headerFields: HTTPFields = [:], body: [UInt8]? = nil,
    limits: HTTPLimits? = nil, deadline: ContinuousClock.Instant? = nil, isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> HTTPExchange {
    try await send(
      try RequestPlan(
        method, address, headerFields: headerFields, body: body, configuration: configuration, limits: limits,
        deadline: deadline))
  }

  private func send(
    _ first: RequestPlan, isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> HTTPExchange {
    var plan = first
    var followed = 0
    var movedCount = 0
    while true {
      let handle = try begin(plan)
      let header: ReceivedHeader
      let facts: ConnectionFacts
      do throws(HTTPTransportError) {
        (header, facts) = try await handle.transfer.head()
      } catch {
        guard error.code == HTTPTransportError.moved.code, movedCount < 3 else { throw error }
        movedCount += 1
        continue
      }
      switch plan.decide(on: header, followed: followed, configuration: configuration) {
      case .deliver: return HTTPExchange(plan, header, facts, handle)
      case .refuse(let error): throw error
      case .follow(let next): plan = next
      }
      followed += 1
    }
  }

  /// Fails every running exchange with `shut-down`, closes every connection, and returns when that is done.
  public func shutdown() async {
    let engines = state.withLock { state in
      state.isShutDown = true
      return state.retired + [state.owner.engine]
    }
    for engine in engines { engine.stop() }
    for engine in engines { await engine.waitForEnd() }
  }

  private static func check(_ configuration: HTTPTransportConfiguration) throws(HTTPTransportError) {
    switch configuration.credentials?.scheme {
    case .basic(let user, let password):
      guard !user.contains(":"), !user.isEmpty else {
        throw .configuration("A user name for basic credentials is neither empty nor holds a colon.")
      }
      guard password.value?.utf8.contains(0) != true else { throw .configuration("A password holds no NUL.") }
    case .bearer(let token):
      // RFC 6750 section 2.1; a line end in a token file would otherwise end the header field.
      if let value = token.value, value.isEmpty || !value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) {
        throw .configuration("A bearer token is not empty and holds only printable ASCII without spaces.")
      }
    case nil: break
    }
    guard TLSSession.isAvailable else {
      throw .configuration("This libcurl is not built on OpenSSL. Install the flavour that is (libcurl4, not -gnutls).")
    }
  }
}
