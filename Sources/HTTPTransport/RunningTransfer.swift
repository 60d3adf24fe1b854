import CCurl
import HTTPTypes

/// A transfer that libcurl is working on. Lives on the engine's thread alone.
final class RunningTransfer {
  let transfer: Transfer
  let easy: EasyHandle
  private let context: EngineContext
  private var header = ResponseHeader()
  private var bodyCount: Int64 = 0
  private var facts = ConnectionFacts()
  /// What went wrong in a callback; libcurl itself only learns that it has to stop.
  private(set) var failure: HTTPTransportError?
  /// The connection is made, handshakes and all, and the request is on its way.
  private(set) var isConnected = false
  /// What OpenSSL found wrong with a certificate: an X509_V_ERR_ number.
  private(set) var verificationFailure: Int32?
  private var isReceivePaused = false
  /// libcurl is handing over what it held back.
  private var isResuming = false
  /// The reader has gone; up to so many bytes are still read to keep the connection.
  private var discardLimit: Int64?
  private(set) var deadline: ContinuousClock.Instant

  var plan: RequestPlan { transfer.plan }
  var configuration: HTTPTransportConfiguration { context.configuration }

  init(_ transfer: Transfer, easy: EasyHandle, context: EngineContext) throws(HTTPTransportError) {
    self.transfer = transfer
    self.easy = easy
    self.context = context
    deadline = transfer.plan.deadline
    try easy.apply(transfer.plan, context)
    easy.transfer = self
  }

  private func stop(_ error: HTTPTransportError) {
    if failure == nil { failure = error }
  }

  // MARK: What libcurl calls

  func receive(headerLine line: UnsafeRawBufferPointer) -> Bool {
    let whole = header.add(line: line)
    guard header.byteCount <= plan.limits.headerBytes else {
      stop(.tooLarge("The header of", plan, "is larger than \(plan.limits.headerBytes) bytes", code: .headerTooLarge))
      return false
    }
    guard let whole else { return true }
    if plan.address.origin.scheme == "http", whole.status == 407, context.configuration.proxy != .direct {
      stop(.proxyRefused(407, configuration))
      return false
    }
    // RFC 9110 section 6.4.1.
    let hasContent = plan.method != .head && whole.status != 204 && whole.status != 304
    if hasContent,
      let length = whole.response.headerFields[.contentLength].flatMap(Int64.init), length > plan.limits.encodedBytes
    {
      stop(
        .tooLarge("The body of", plan, "is announced as \(length) bytes, over the limit of \(plan.limits.encodedBytes)")
      )
      return false
    }
    context.waiters += transfer.deliver(whole, facts, hasContent: hasContent)
    return true
  }

  func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    if let discardLimit {
      bodyCount += Int64(bytes.count)
      return bodyCount <= discardLimit ? bytes.count : 0
    }
    guard bodyCount + Int64(bytes.count) <= plan.limits.encodedBytes else {
      stop(.tooLarge("The body of", plan, "is larger than \(plan.limits.encodedBytes) bytes"))
      return 0
    }
    guard let waiters = transfer.append(bytes, whateverIsHeld: isResuming) else {
      // CURL_WRITEFUNC_PAUSE: nothing was taken; libcurl gives the same bytes again after curl_easy_pause.
      isReceivePaused = true
      return Int(CURL_WRITEFUNC_PAUSE)
    }
    context.waiters += waiters
    bodyCount += Int64(bytes.count)
    return bytes.count
  }

  /// CURLOPT_PREREQFUNCTION(3): called when the connection is made, also when it is used again,
  /// and before any request is sent.
  func isReadyToSend() -> Bool {
    isConnected = true
    if plan.address.origin.scheme == "https" {
      if let identity = context.configuration.tls.expectedServerIdentity {
        let session = TLSSession(easy)
        let identities = session?.peerURIs ?? []
        guard identities.count == 1, identities[0] == Array(identity.uri.utf8) else {
          stop(.wrongIdentity(plan, expected: identity.uri, found: identities))
          return false
        }
        if let fault = session?.peerCertificate?.fault(as: identity) {
          stop(.unfitCertificate(plan, fault))
          return false
        }
      }
      // A resumed session is not asked again, so what the origin once asked is remembered.
      let isKnownToAsk = context.askingOrigins.contains(plan.address.origin)
      if isKnownToAsk || TLSSession(easy)?.wasAskedForCertificate == true {
        if !isKnownToAsk { context.askingOrigins.insert(plan.address.origin) }
        facts.clientCertificate = context.configuration.tls.clientCertificate == nil ? .lacking : .shown
        facts.certificateBegin = context.material?.certificateBegin
        facts.certificateExpiry = context.material?.certificateExpiry
      }
    }
    context.meter.countRequest()
    return true
  }

  // MARK: The engine's orders

  func resumeReceiving() {
    guard isReceivePaused else { return }
    isReceivePaused = false
    takeWhatIsHeld()
  }

  /// Reads what little may be left, so that the connection can be used again; gives up on more.
  func discardRest() {
    discardLimit = bodyCount + 65_536
    deadline = min(deadline, .now + .seconds(1))
    resumeReceiving()
  }

  /// curl_easy_pause(3): gives the held data to the callbacks at once; when one of them stops it there, this call
  /// alone says so, and the transfer would go on to end as if nothing were missing.
  ///
  /// What libcurl holds is taken all at once. It is in memory already, and libcurl would copy the rest each time that it is
  /// paused again.
  private func takeWhatIsHeld() {
    isResuming = true
    defer { isResuming = false }
    let code = curl_easy_pause(easy.pointer, CURLPAUSE_CONT)
    if code != CURLE_OK { stop(HTTPTransportError(code, of: self, text: easy.errorText)) }
  }

  // MARK: The stall limit

  /// Kept here rather than by CURLOPT_LOW_SPEED_TIME, which takes a reader that is slow for a slow server.
  private var stall = StallDetector()

  /// What of it has crossed the line so far, either way.
  var byteCount: Int64 {
    Int64(ccurl_get_offset(easy.pointer, CURLINFO_SIZE_DOWNLOAD_T))
      + Int64(ccurl_get_offset(easy.pointer, CURLINFO_SIZE_UPLOAD_T)) + Int64(header.byteCount)
  }

  /// Called about ``StallDetector/interval(of:)`` apart, after libcurl has read what there is.
  ///
  /// - Parameter count: the bytes of all transfers. They share a line, and with HTTP/2 a connection, on which a server
  ///   sends them one after the other: an exchange that waits for its turn has not stalled.
  func isStalled(_ now: ContinuousClock.Instant, count: Int64) -> Bool {
    guard let limit = context.configuration.stallLimit, discardLimit == nil else { return false }
    let isJudged = isConnected && !isReceivePaused
    return stall.isOver(limit, count: count, now, isJudged: isJudged)
  }

  var isAbandoned: Bool { discardLimit != nil }

  /// The server has said nothing for so long that its connection is not to be relied on.
  var isSilent: Bool { isConnected && stall.slowTime >= .seconds(3) }

  /// The request went over a connection that was there before, no byte of an answer came, and sending it again does no
  /// harm (RFC 9110 section 9.2.1): it may go over another connection.
  var isFitForAnother: Bool {
    isConnected && header.byteCount == 0 && (plan.method == .get || plan.method == .head)
      && ccurl_get_long(easy.pointer, CURLINFO_NUM_CONNECTS) == 0
  }

  /// libcurl is done with it. Reads everything the handle knows before anything else is called.
  func finish(_ code: CURLcode) {
    verificationFailure = context.verificationFailures.removeValue(forKey: easy.pointer)
    if let failure {
      end(failure)
    } else if code == CURLE_OK {
      context.waiters += transfer.finish(.success(()))
    } else {
      let error = HTTPTransportError(code, of: self, text: easy.errorText)
      if [.connectTimeout, .unreachable, .nameResolution].contains(error.code) { context.engine.retire() }
      guard error.code == .connectionLost, isFitForAnother else { return end(error) }
      context.engine.retire()
      end(.moved)
    }
  }

  /// Ends it for its reader; libcurl still has to let go of it.
  func end(_ error: HTTPTransportError) {
    context.waiters += transfer.finish(.failure(error))
  }

  /// The same of the certificate there is.
  var looksLikeRefusedCertificate: Bool {
    facts.clientCertificate == .shown && header.byteCount == 0
      && ccurl_get_long(easy.pointer, CURLINFO_NUM_CONNECTS) > 0
  }

  var certificateExpiry: Int? { context.material?.certificateExpiry }

  var isHeaderComplete: Bool { header.isComplete }

  /// The server asked on this very connection for the certificate there is not, and did not answer at all.
  /// In TLS 1.3 its alert may be overtaken by the end of the connection.
  var looksLikeMissingCertificate: Bool {
    facts.clientCertificate == .lacking && header.byteCount == 0
      && ccurl_get_long(easy.pointer, CURLINFO_NUM_CONNECTS) > 0
  }
}
