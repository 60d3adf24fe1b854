import CCurl
import HTTPTypes

/// A transfer that libcurl is working on. Lives on the engine's thread alone.
final class RunningTransfer {
  let transfer: Transfer
  let easy: EasyHandle
  let configuration: HTTPTransportConfiguration
  let meter: WireMeter
  private let context: EngineContext
  private var header = ResponseHeader()
  private var decodedCount: Int64 = 0
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

  init(_ transfer: Transfer, easy: EasyHandle, context: EngineContext) throws(HTTPTransportError) {
    self.transfer = transfer
    self.easy = easy
    self.context = context
    configuration = context.configuration
    meter = context.meter
    deadline = transfer.plan.deadline
    try easy.apply(transfer.plan)
    setCallbacks()
  }

  /// For the callbacks, which get it back as their context. The engine keeps this object alive for
  /// as long as its handle is in libcurl's hands.
  private var reference: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  private static func from(_ context: UnsafeMutableRawPointer?) -> RunningTransfer? {
    context.map { Unmanaged<RunningTransfer>.fromOpaque($0).takeUnretainedValue() }
  }

  private func setCallbacks() {
    _ = ccurl_set_on_header(
      easy.pointer,
      { bytes, size, count, context in
        // CURLOPT_HEADERFUNCTION(3): any other number than that of the bytes given ends the transfer.
        let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return RunningTransfer.from(context)?.receive(headerLine: line) == true ? line.count : 0
      }, reference)
    _ = ccurl_set_on_body(
      easy.pointer,
      { bytes, size, count, context in
        RunningTransfer.from(context)?.receive(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
      }, reference)
    _ = ccurl_set_on_progress(
      easy.pointer,
      { context, _, received, _, _ in
        // CURLOPT_XFERINFOFUNCTION(3): anything but 0 ends the transfer.
        RunningTransfer.from(context)?.allows(encoded: Int64(received)) == true ? 0 : 1
      }, reference)
    _ = ccurl_set_before_request(
      easy.pointer,
      { context, _, _, _, _ in
        RunningTransfer.from(context)?.isReadyToSend() == true
          ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
      }, reference)
  }

  private func stop(_ error: HTTPTransportError) {
    if failure == nil { failure = error }
  }

  // MARK: Callbacks

  private func receive(headerLine line: UnsafeRawBufferPointer) -> Bool {
    let step = header.add(line: line)
    guard header.byteCount <= plan.limits.headerBytes else {
      stop(.tooLarge("The header of", plan, "is larger than \(plan.limits.headerBytes) bytes", code: .headerTooLarge))
      return false
    }
    guard case .response(let response) = step else { return true }
    if plan.address.origin.scheme == "http", response.status.code == 407, configuration.proxy != .direct {
      stop(.proxyRefused(407, configuration))
      return false
    }
    // RFC 9110 section 6.4.1.
    let hasContent = plan.method != .head && ![204, 304].contains(response.status.code)
    if hasContent,
      let length = response.headerFields[.contentLength].flatMap(Int64.init), length > plan.limits.encodedBytes
    {
      stop(
        .tooLarge("The body of", plan, "is announced as \(length) bytes, over the limit of \(plan.limits.encodedBytes)")
      )
      return false
    }
    context.waiters += transfer.deliver(response, facts, hasContent: hasContent)
    return true
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
    if let discardLimit {
      decodedCount += Int64(bytes.count)
      return decodedCount <= discardLimit ? bytes.count : 0
    }
    guard decodedCount + Int64(bytes.count) <= plan.limits.decodedBytes else {
      stop(.tooLarge("The body of", plan, "is larger than \(plan.limits.decodedBytes) bytes"))
      return 0
    }
    // Deflate makes at most 1032 bytes of one (zlib, Maximum Compression Factor); brotli a million. What is made of one read
    // is made at once and is in memory, so that nothing honest is lost and a bomb is over early.
    guard decodedCount < 64 << 20 || decodedCount / 1100 <= ccurl_get_offset(easy.pointer, CURLINFO_SIZE_DOWNLOAD_T)
    else {
      stop(.tooLarge("The body of", plan, "expands to more than 1100 times what is sent"))
      return 0
    }
    guard let waiters = transfer.append(bytes, whateverIsHeld: isResuming) else {
      // CURL_WRITEFUNC_PAUSE: nothing was taken; libcurl gives the same bytes again after curl_easy_pause.
      isReceivePaused = true
      return Int(CURL_WRITEFUNC_PAUSE)
    }
    context.waiters += waiters
    decodedCount += Int64(bytes.count)
    return bytes.count
  }

  /// Also catches what decodes to nothing, which never reaches ``receive(_:)``.
  private func allows(encoded count: Int64) -> Bool {
    guard count > plan.limits.encodedBytes, discardLimit == nil else { return true }
    stop(.tooLarge("The body of", plan, "is larger than \(plan.limits.encodedBytes) bytes"))
    return false
  }

  /// CURLOPT_PREREQFUNCTION(3): called when the connection is made, also when it is used again,
  /// and before any request is sent.
  private func isReadyToSend() -> Bool {
    isConnected = true
    if plan.address.origin.scheme == "https" {
      let session = TLSSession(easy)
      if let identity = configuration.tls.expectedServerIdentity {
        let identities = session?.peerURIs ?? []
        guard identities.count == 1, identities[0] == Array(identity.uri.utf8) else {
          stop(.wrongIdentity(plan, expected: identity.uri, found: identities))
          return false
        }
      }
      if configuration.tls.clientCertificate == nil {
        if session?.wasAskedForCertificate == true { context.askingOrigins.insert(plan.address.origin) }
        // A resumed session is not asked again, so what the origin once asked is remembered.
        facts.lacksClientCertificate = context.askingOrigins.contains(plan.address.origin)
      }
    }
    meter.countRequest()
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
    discardLimit = decodedCount + 65_536
    deadline = min(deadline, .now + .seconds(1))
    resumeReceiving()
  }

  /// curl_easy_pause(3): gives what was held back to the callbacks at once; when one of them stops it there, this call
  /// alone says so, and the transfer would go on to end as if nothing were missing.
  ///
  /// What libcurl holds is taken all at once. It is in memory already, after decoding perhaps many megabytes of it, and
  /// libcurl would copy the rest each time that it is paused again.
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
  ///   sends them one after the other: whoever waits for its turn has not stalled.
  func isStalled(_ now: ContinuousClock.Instant, count: Int64) -> Bool {
    guard let limit = configuration.stallLimit, discardLimit == nil else { return false }
    let isJudged = isConnected && !isReceivePaused
    return stall.isOver(limit, count: count, now, isJudged: isJudged)
  }

  /// libcurl is done with it. Reads everything the handle knows before anything else is called.
  func finish(_ code: CURLcode) {
    verificationFailure = context.verificationFailures.removeValue(forKey: easy.pointer)
    if let failure {
      end(failure)
    } else if code == CURLE_OK {
      context.waiters += transfer.finish(.success(()))
    } else {
      end(HTTPTransportError(code, of: self, text: easy.errorText))
    }
  }

  /// Ends it for its reader; libcurl still has to let go of it.
  func end(_ error: HTTPTransportError) {
    context.waiters += transfer.finish(.failure(error))
  }

  var isHeaderComplete: Bool { header.isComplete }

  /// The server asked on this very connection for the certificate there is not, and did not answer at all.
  /// In TLS 1.3 its alert may be overtaken by the end of the connection.
  var looksLikeMissingCertificate: Bool {
    facts.lacksClientCertificate && header.byteCount == 0 && ccurl_get_long(easy.pointer, CURLINFO_NUM_CONNECTS) > 0
  }
}
