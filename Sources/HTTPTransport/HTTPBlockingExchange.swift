public import HTTPTypes

/// A request under way, for a thread that may block.
///
/// With a body pipe: begin, write to the pipe, finish it, then ask for the exchange.
public struct HTTPBlockingRequest: Sendable {
  private let plan: RequestPlan
  private let configuration: HTTPTransportConfiguration
  private let handle: TransferHandle
  private let start: @Sendable (RequestPlan) -> TransferHandle

  init(
    _ plan: RequestPlan, _ configuration: HTTPTransportConfiguration,
    start: @escaping @Sendable (RequestPlan) -> TransferHandle
  ) {
    self.plan = plan
    self.configuration = configuration
    self.start = start
    handle = start(plan)
  }

  /// Blocks until the header of the final response is there.
  public func exchange() throws(HTTPTransportError) -> HTTPBlockingExchange {
    var plan = plan
    var handle = handle
    var followed = 0
    while true {
      let (response, facts) = try handle.transfer.blockingHead()
      switch plan.decide(on: response, followed: followed, configuration: configuration) {
      case .deliver:
        return HTTPBlockingExchange(HTTPExchange(plan, response, facts, handle))
      case .refuse(let error): throw error
      case .follow(let next):
        plan = next
        handle = start(next)
      }
      followed += 1
    }
  }

  /// Ends the request at once, from any thread; one that blocks on it gets `cancelled`.
  public func cancel() { handle.transfer.cancel() }
}

/// A response whose body is still on its way, for a thread that may block.
public struct HTTPBlockingExchange: Sendable {
  private let exchange: HTTPExchange

  init(_ exchange: HTTPExchange) { self.exchange = exchange }

  public var response: HTTPResponse { exchange.response }
  public var effectiveURL: String { exchange.effectiveURL }
  public var lacksClientCertificate: Bool { exchange.lacksClientCertificate }

  /// Blocks until there are more bytes of the body; nil at its end.
  public func next() throws(HTTPTransportError) -> [UInt8]? {
    try exchange.body.handle.transfer.blockingChunk()
  }

  /// Ends the exchange at once, from any thread; one that blocks on it gets `cancelled`.
  public func cancel() { exchange.cancel() }
}
