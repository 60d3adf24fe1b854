package import DesiredState
import DesiredStateSupport
package import FoundationEssentials
package import HTTPTransport
package import HTTPTypes

/// Asks one source over HTTP, and answers in the contract's words.
package struct SourceClient: Sendable {
  /// Adds to a request, whose body is given, what proves who sends it.
  package typealias Sign = @Sendable (inout HTTPRequest, [UInt8]) throws -> Void

  package let transport: HTTPTransport
  private let sign: Sign?
  /// Of all documents of the source, whatever state they belong to: a server that was asked too much stays so.
  let pacer = RequestPacer()

  /// - Parameter sign: called for each request right before it is sent.
  package init(transport: HTTPTransport, sign: Sign? = nil) {
    self.transport = transport
    self.sign = sign
  }

  /// An answer that was read to its end.
  package struct WholeResponse: Sendable {
    fileprivate var asked: HTTPAddress
    fileprivate var askedFields: HTTPFields
    /// The request, as it was sent first.
    package var request: HTTPRequest { asked.request(headerFields: askedFields) }
    fileprivate var exchange: HTTPExchange
    package var response: HTTPResponse { exchange.response }
    /// A condition was sent along, and nothing has changed (RFC 9110 section 15.4.5).
    package var isNotModified: Bool { exchange.status == 304 }
    package var body: [UInt8]
    /// What answered, after redirects.
    package var address: HTTPAddress { exchange.effectiveAddress }
    /// When the client certificate ends, if that is soon.
    package var credentialsExpire: Date?

    /// Where the state came from, in the server's own terms.
    package var origin: Origin {
      Origin(
        url: "\(address)", entityTag: response.headerFields[.eTag],
        time: response.headerFields[.lastModified].flatMap(HTTPDate.secondsSince1970).map {
          Date(timeIntervalSince1970: Double($0))
        })
    }
  }

  /// Sends a request, signed if requests are.
  ///
  /// - Throws: ``HTTPTransportError``; what signing throws.
  package func send(
    _ method: HTTPRequest.Method = .get, to address: HTTPAddress, headerFields: HTTPFields = [:], body: [UInt8]? = nil,
    limits: HTTPLimits? = nil, deadline: ContinuousClock.Instant
  ) async throws -> HTTPExchange {
    try await transport.send(
      method, to: address, headerFields: try signed(headerFields, method, address, body), body: body, limits: limits,
      deadline: deadline)
  }

  /// The fields of a request, with those that prove who sends it.
  private func signed(
    _ fields: HTTPFields, _ method: HTTPRequest.Method, _ address: HTTPAddress, _ body: [UInt8]?
  ) throws -> HTTPFields {
    guard let sign else { return fields }
    var request = address.request(method, headerFields: fields)
    try sign(&request, body ?? [])
    return request.headerFields
  }

  /// Delivers something small, and sees that it is taken.
  ///
  /// - Parameters:
  ///   - toFolder: whether it is put into a folder, which may be missing.
  ///   - limit: the bytes that the answer may have.
  /// - Returns: the answer's body.
  /// - Throws: ``BackendError``; `CancellationError`.
  @discardableResult
  package func deliver(
    _ body: [UInt8], by method: HTTPRequest.Method, to address: HTTPAddress, contentType: String,
    toFolder: Bool = false, limit: Int = 1 << 20, deadline: ContinuousClock.Instant
  ) async throws -> [UInt8] {
    do {
      let exchange = try await send(
        method, to: address, headerFields: [.contentType: contentType], body: body, deadline: deadline)
      guard (200..<300).contains(exchange.status) else {
        throw await BackendError.reading(exchange, of: "\(address)", toFolder: toFolder)
      }
      return try await exchange.body.collect(upTo: limit)
    } catch let error as HTTPTransportError {
      throw sourceError(error)
    }
  }

  /// Fetches something small enough to be kept in memory.
  ///
  /// - Parameters:
  ///   - what: its name in messages: "the manifest".
  ///   - limit: the bytes it may have, decoded.
  ///   - deadline: for all of it.
  /// - Returns: the answer; nil if there is nothing (404 or 410).
  /// - Throws: ``VerificationError`` with `limit-exceeded`; ``BackendError``; `CancellationError`.
  package func get(
    _ address: HTTPAddress, _ what: String, headerFields: HTTPFields = [:], limit: Int,
    deadline: ContinuousClock.Instant
  ) async throws -> WholeResponse? {
    do {
      let fields = try signed(headerFields, .get, address, nil)
      let exchange = try await transport.send(
        .get, to: address, headerFields: fields, limits: .body(Int64(limit)), deadline: deadline)
      var body: [UInt8] = []
      switch exchange.status {
      case 404, 410: return nil
      // RFC 9110 section 15.4.5: it has no content.
      case 304 where headerFields.isConditional: break
      case 200:
        try checkIsNoWebPage(exchange)
        body = try await exchange.body.collect(upTo: limit)
        try checkIsNoWebPage(exchange, body)
        guard !body.isEmpty else {
          throw BackendError(
            .protocolViolation,
            "\(address) answers 200 with nothing in it, where \(what) should be; see to the server",
            isRetryable: true)
        }
      default: throw await BackendError.reading(exchange, of: "\(address)")
      }
      return WholeResponse(
        asked: address, askedFields: fields, exchange: exchange, body: body,
        credentialsExpire: exchange.nearClientCertificateExpiry(at: Int(Date().timeIntervalSince1970)).map {
          Date(timeIntervalSince1970: Double($0))
        })
    } catch let error as HTTPTransportError {
      guard error.code == .tooLarge else { throw sourceError(error) }
      throw VerificationError(.limitExceeded, "\(what) at \(address) is longer than the limit of \(limit) bytes")
    }
  }

  /// Begins to fetch a document: returns when its header is there and says that the document follows. A server that refuses
  /// for being asked too often is asked again, when it says or a little later.
  ///
  /// - Parameters:
  ///   - limit: the bytes that may come.
  ///   - timeout: how long an answer may take to begin.
  ///   - offset: where to begin in the document; a server that cannot do so sends all of it, which is passed over.
  ///   - validator: a strong entity tag of the document of which the bytes before `offset` came.
  ///   - isAroundCaches: caches on the way must ask the server (RFC 9111 section 5.2.1.4).
  /// - Throws: ``VerificationError`` with `document-missing`; ``BackendError``; `CancellationError`.
  package func document(
    _ document: DocumentReference, at address: HTTPAddress, limit: UInt64, timeout: Duration, from offset: UInt64 = 0,
    validator: String? = nil, isAroundCaches: Bool = false
  ) async throws -> DocumentExchange {
    var fields: HTTPFields = [:]
    if isAroundCaches { fields[.cacheControl] = "no-cache" }
    if offset > 0 {
      // RFC 9110 section 14.2. Of the document itself, not of a coding of it.
      fields[.range] = "bytes=\(offset)-"
      fields[.acceptEncoding] = "identity"
      // RFC 9110 section 13.1.5. Without it a wrong end is noticed too, by the digest.
      if let validator { fields[.ifRange] = validator }
    }
    let longestPause = min(timeout * 2 / 3, .seconds(20))
    while true {
      let ticket = try await pacer.begin()
      do {
        // No deadline for the whole: a large document takes as long as it keeps coming, and the stall limit sees to that.
        let exchange = try await withTimeout(timeout) { [fields] in
          try await send(
            to: address, headerFields: fields, limits: .body(Int64(clamping: limit)),
            deadline: .now + .seconds(86400 * 30))
        }
        switch exchange.status {
        case 200:
          try checkIsNoWebPage(exchange)
          pacer.succeeded()
          return DocumentExchange(document: document, exchange: exchange, limit: limit, skipped: offset)
        case 206 where offset > 0:
          guard exchange.response.headerFields[.contentRange]?.hasPrefix("bytes \(offset)-") == true else {
            throw BackendError(.protocolViolation, "\(address) answers with another range than was asked for")
          }
          pacer.succeeded()
          return DocumentExchange(document: document, exchange: exchange, limit: limit, skipped: 0)
        case 416 where exchange.response.headerFields[.contentRange] == "bytes */\(offset)":
          // All of it had come.
          return DocumentExchange(document: document, exchange: nil, limit: limit, skipped: 0)
        case 429, 503:
          let refusal = await BackendError.reading(exchange, of: "\(address)")
          guard pacer.refused(ticket, retryAfter: refusal.retryAfter, longest: longestPause) else { throw refusal }
        case 404, 410:
          throw VerificationError(
            .documentMissing,
            "document \(quoted(document.id)) is not at \(address); if it is being published it will be seen at the next poll",
            evidence: ["document \(document.id)"])
        default: throw await BackendError.reading(exchange, of: "\(address)")
        }
      } catch let error as HTTPTransportError {
        throw DocumentExchange.failure(error, of: document, limit: limit)
      }
    }
  }

  /// Refuses a page that was sent in place of data: what a login page of the network stands in for is not at fault.
  private func checkIsNoWebPage(_ exchange: HTTPExchange, _ body: [UInt8] = []) throws(BackendError) {
    let type = exchange.response.headerFields[.contentType]?.lowercased() ?? ""
    // Nothing that is fetched whole begins like this; some pages come without a type.
    let start = String(decoding: body.prefix(64), as: UTF8.self).lowercased().drop(while: \.isWhitespace)
    let isPage = start.hasPrefix("<html") || start.hasPrefix("<!doctype")
    guard isPage || type.hasPrefix("text/html") || type.hasPrefix("application/xhtml") else { return }
    throw BackendError(
      .protocolViolation,
      "\(exchange.effectiveAddress) answers with a web page; either it is not the address of a publisher of desired state, or a login page of the network stands in between",
      isRetryable: true)
  }
}

extension HTTPFields {
  fileprivate var isConditional: Bool { contains(.ifNoneMatch) || contains(.ifModifiedSince) }
}
