public import HTTPTypes

/// A response whose body is still on its way.
public struct HTTPExchange: Sendable {
  /// Of the final response, after any redirects. Fields are as they came, also when the body is decoded.
  public var response: HTTPResponse { header.response }
  /// Its status code (RFC 9110 section 15), at hand without reading the rest of the header.
  public var status: Int { header.status }
  private let header: ReceivedHeader
  /// The body, decoded. To be read once. An exchange whose body is let go of unread ends by itself.
  public let body: HTTPResponseBody
  /// The address that answered, after any redirects. It may hold a signature in its query: do not log it.
  public var effectiveURL: String { effectiveAddress.url }
  package let effectiveAddress: HTTPAddress
  /// The server asked for a client certificate, and none is configured: the likely reason for a 400, 401 or 403.
  public let lacksClientCertificate: Bool

  /// The server asked for a client certificate, and was shown the configured one.
  public let showedClientCertificate: Bool
  /// Until when that certificate is valid, in seconds since 1970.
  public let clientCertificateExpiry: Int?
  /// From when it is.
  private let clientCertificateBegin: Int?

  /// Until when the client certificate is valid, in seconds since 1970, if that is soon: within 30 days, and within the last
  /// third of its time.
  package func nearClientCertificateExpiry(at now: Int) -> Int? {
    guard let expiry = clientCertificateExpiry else { return nil }
    let lifetime = clientCertificateBegin.map { expiry - $0 } ?? .max
    return expiry - now <= min(30 * 86400, lifetime / 3) ? expiry : nil
  }

  /// A text of the server's without any credential that it was sent.
  package func struck(_ text: String) -> String { body.handle.transfer.struck(text) }

  init(_ plan: RequestPlan, _ header: ReceivedHeader, _ facts: ConnectionFacts, _ handle: TransferHandle) {
    self.header = header
    effectiveAddress = plan.address
    lacksClientCertificate = facts.clientCertificate == .lacking
    showedClientCertificate = facts.clientCertificate == .shown
    clientCertificateExpiry = showedClientCertificate ? facts.certificateExpiry : nil
    clientCertificateBegin = facts.certificateBegin
    body = HTTPResponseBody(handle)
  }

  /// Ends the exchange at once.
  public func cancel() { body.handle.transfer.cancel() }
}

/// The body of a response, in chunks as they come.
///
/// A reader that is slower than the network holds the network back: about 256 KiB are kept, then
/// nothing more is read. Other exchanges on the same HTTP/2 connection go on; for them, libcurl takes
/// in up to 32 MiB more of an unread body, the window it grants every HTTP/2 server beforehand.
public struct HTTPResponseBody: AsyncSequence, Sendable {
  public typealias Element = [UInt8]
  public typealias Failure = HTTPTransportError

  let handle: TransferHandle

  init(_ handle: TransferHandle) { self.handle = handle }

  public func makeAsyncIterator() -> Iterator { Iterator(handle: handle) }

  /// Reads the body, chunk by chunk.
  public struct Iterator: AsyncIteratorProtocol, Sendable {
    let handle: TransferHandle

    /// The next bytes, never none; nil at the end of a complete body.
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(HTTPTransportError) -> [UInt8]? {
      try await handle.transfer.chunk(isolation: actor)
    }
  }

  /// The whole body, if it is no larger than `limit` bytes; `too-large` else, as soon as that is known. One that expands to
  /// more than 1 MiB and 100 times its size on the wire is a `protocol-violation`.
  public func collect(
    upTo limit: Int, isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> [UInt8] {
    var whole: [UInt8] = []
    var iterator = makeAsyncIterator()
    while let chunk = try await iterator.next(isolation: isolation) {
      guard whole.count + chunk.count <= limit else {
        handle.transfer.cancel()
        throw handle.transfer.beyondLimit(Int64(limit), decoded: Int64(whole.count + chunk.count))
      }
      guard !handle.transfer.isExpanding(Int64(whole.count + chunk.count)) else {
        handle.transfer.cancel()
        throw .expanding(handle.transfer.plan)
      }
      if whole.isEmpty {
        whole = chunk
      } else {
        // Growing would need the room of a long body twice; pages that stay unused cost nothing.
        if whole.count + chunk.count > 1 << 20 { whole.reserveCapacity(Swift.min(limit, 64 << 20)) }
        whole += chunk
      }
    }
    return whole
  }
}

/// Holds a transfer for its reader: when the last one lets go, the rest of the response is not wanted.
final class TransferHandle: Sendable {
  let transfer: Transfer

  /// An exchange may outlive its transport, but not the thread that feeds it.
  private let owner: EngineOwner

  init(_ transfer: Transfer, _ owner: EngineOwner) {
    self.transfer = transfer
    self.owner = owner
  }

  deinit { transfer.abandon() }
}
