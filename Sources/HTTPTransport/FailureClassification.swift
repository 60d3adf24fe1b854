import CCurl
import DesiredStateSupport
import FoundationEssentials

extension HTTPTransportError {
  static func tooLarge(
    _ what: String, _ plan: RequestPlan, _ how: String, code: Code = .tooLarge
  ) -> HTTPTransportError {
    HTTPTransportError(
      code: code,
      message: "\(what) \(plan.address) \(how). Raise the limit if this body is right.")
  }

  static func proxyRefused(_ status: Int, _ configuration: HTTPTransportConfiguration) -> HTTPTransportError {
    var name = "The proxy"
    if case .proxy(let proxy) = configuration.proxy { name = "The proxy \(proxy.origin)" }
    let advice =
      switch status {
      case 407: "It wants a user name and password, or refuses those it was given."
      case 403: "It does not allow this address. Ask its operator."
      default: "See the proxy's log."
      }
    return HTTPTransportError(
      code: .proxyRefused, message: "\(name) refused the request with status \(status). \(advice)",
      isRetryable: status >= 500 || status == 429, proxyStatus: status)
  }

  static func wrongIdentity(_ plan: RequestPlan, expected: String, found: [[UInt8]]) -> HTTPTransportError {
    let names = found.map { String(decoding: $0, as: UTF8.self) }
    let shown = names.isEmpty ? "no URI" : names.joined(separator: " and ")
    return HTTPTransportError(
      code: .tlsWrongIdentity,
      message: "\(plan.address.origin) was expected to be \(expected), but its certificate names \(shown). "
        + "Nothing was sent to it.")
  }

  static func unfitCertificate(_ plan: RequestPlan, _ fault: String) -> HTTPTransportError {
    HTTPTransportError(
      code: .tlsUnfitCertificate,
      message:
        "\(plan.address.origin) shows a certificate that cannot prove who it is: \(fault). Nothing was sent to it. "
        + "Its operator has to issue another one.")
  }

  /// What a libcurl failure means. `text` is the error buffer, read at the call that filled it.
  init(_ code: CURLcode, of running: RunningTransfer, text: String?) {
    let easy = running.easy.pointer
    let configuration = running.configuration
    let address = running.plan.address
    let connectStatus = ccurl_get_long(easy, CURLINFO_HTTP_CONNECTCODE)
    let detail = text.map { running.transfer.struck($0) }
    func error(_ code: Code, _ message: String, retryable: Bool = false, curl: CURLcode) -> HTTPTransportError {
      HTTPTransportError(
        code: code, message: message, isRetryable: retryable, underlying: LibCurlError(curl, detail))
    }
    // A proxy that the environment names may be the only way out.
    func environmentHint(_ configuration: HTTPTransportConfiguration) -> String {
      guard configuration.proxy == .direct, !address.origin.isLoopback, let name = HTTPProxy.environmentVariable else {
        return ""
      }
      return
        " The environment names a proxy (\(name)), which is not used: set the proxy's address to 'environment' to use it."
    }
    // Who the connection was being made to when it failed.
    var peer = "\(address.origin)"
    var proxyOrigin: HTTPOrigin?
    if case .proxy(let proxy) = configuration.proxy {
      proxyOrigin = proxy.origin
      if !running.isConnected, connectStatus == 0 { peer = "the proxy \(proxy.origin)" }
    }
    let whatSystem = "libcurl's code \(code.rawValue)"

    switch code {
    case CURLE_PEER_FAILED_VERIFICATION,
      _ where running.verificationFailure != nil && !running.isConnected:
      self = Self.verification(peer: peer, running.verificationFailure, code, detail)
    case CURLE_COULDNT_RESOLVE_HOST:
      self = error(
        .nameResolution,
        "The name \(address.origin.host) has no address. Check the spelling and the DNS server.\(environmentHint(configuration))",
        retryable: true, curl: code)
    case CURLE_COULDNT_RESOLVE_PROXY:
      self = error(
        .nameResolution,
        "The proxy's name \(proxyOrigin?.host ?? "") has no address. Check its spelling and the DNS server.",
        retryable: true, curl: code)
    case _ where connectStatus != 0 && !(200..<300).contains(connectStatus) && !running.isConnected:
      let refusal = Self.proxyRefused(connectStatus, configuration)
      self = HTTPTransportError(
        code: refusal.code, message: refusal.message, isRetryable: refusal.isRetryable,
        underlying: LibCurlError(code, detail), proxyStatus: connectStatus)
    case CURLE_COULDNT_CONNECT:
      self = error(
        .unreachable,
        "Nothing answers at \(peer). Check the address, the port and whether the service runs.\(environmentHint(configuration))",
        retryable: true, curl: code)
    case CURLE_OPERATION_TIMEDOUT:
      self = error(
        .connectTimeout,
        "No connection to \(peer) within \(configuration.connectTimeout). Check the network and any firewall on the way.\(environmentHint(configuration))",
        retryable: true, curl: code)
    case CURLE_SSL_CACERT_BADFILE:
      self = error(
        .configuration,
        "The trusted authorities cannot be read: the file is not there, or holds no certificate in PEM form.",
        curl: code)
    case CURLE_SSL_CERTPROBLEM:
      self = error(
        .configuration,
        "The client certificate or its key cannot be used. Check that both files are PEM, readable, belong together, "
          + "and that the passphrase is right.", curl: code)
    case CURLE_PARTIAL_FILE:
      self = error(
        .truncated, "\(address) ended before its announced length. Try again.", retryable: true, curl: code)
    case CURLE_OUT_OF_MEMORY where !running.isHeaderComplete:
      self = error(.headerTooLarge, "\(address) sent a header line that is too long.", curl: code)
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_HTTP2, CURLE_HTTP2_STREAM,
      CURLE_TOO_MANY_REDIRECTS,
      CURLE_HTTP_RETURNED_ERROR, CURLE_WRITE_ERROR:
      self = error(
        .protocolViolation,
        "What \(address.origin) answers is not proper HTTP. Check that an HTTP server is at that port.",
        retryable: code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM, curl: code)
    case CURLE_URL_MALFORMAT:
      self = error(.invalidRequest, "libcurl cannot read the request's URL.", curl: code)
    case CURLE_SSL_CONNECT_ERROR, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING:
      self =
        Self.alert(text, peer: peer, configuration, expiry: running.certificateExpiry, code, detail)
        ?? (running.looksLikeMissingCertificate
          ? error(
            .clientCertificateRequired,
            "\(peer) asked for a client certificate and broke the connection when it got none. "
              + "Set the client certificate and the client certificate's key.", retryable: true, curl: code) : nil)
        ?? (running.looksLikeRefusedCertificate
          ? Self.refused(peer, running.certificateExpiry, retryable: true, code, detail) : nil)
        ?? (code == CURLE_SSL_CONNECT_ERROR
          ? error(
            .tlsFailed, "No TLS connection to \(peer) could be agreed on. Check that it speaks TLS at that port.",
            retryable: text?.contains("SSL_ERROR_SYSCALL") == true, curl: code)
          : error(
            .connectionLost, "The connection to \(peer) broke before the answer was complete. Try again.",
            retryable: true, curl: code))
    default:
      self = error(.internalFailure, "The exchange with \(address.origin) failed: \(whatSystem).", curl: code)
    }
  }

  /// `failure` is OpenSSL's X509_V_ERR_ number. There is none when the chain was good and libcurl itself,
  /// which compares the names, refused.
  private static func verification(
    peer: String, _ failure: Int32?, _ code: CURLcode, _ detail: String?
  ) -> HTTPTransportError {
    let (kind, message): (Code, String) =
      switch failure {
      case nil, X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
        (
          .tlsWrongHost,
          "The certificate of \(peer) is for another host. Use the name that it is for, or mend the server."
        )
      case X509_V_ERR_CERT_NOT_YET_VALID:
        (
          .clockImplausible,
          "The certificate of \(peer) is not valid yet. The clock of this machine is probably behind: set it."
        )
      case X509_V_ERR_CERT_HAS_EXPIRED:
        (
          .tlsExpired,
          "The certificate of \(peer) has expired. Renew it, or set the clock of this machine if it is ahead."
        )
      default:
        (
          .tlsUntrusted,
          "The certificate of \(peer) is not from a trusted authority. Add its authority to the trusted authorities, or look for an inspecting proxy on the way."
        )
      }
    return HTTPTransportError(code: kind, message: message, underlying: LibCurlError(code, detail))
  }

  /// A TLS alert of the other side (RFC 8446 section 6), which libcurl reports only as text such as
  /// "error:0A00045C:SSL routines::…": OpenSSL's reason number for an alert is 1000 and the alert's.
  private static func alert(
    _ text: String?, peer: String, _ configuration: HTTPTransportConfiguration, expiry: Int?, _ code: CURLcode,
    _ detail: String?
  ) -> HTTPTransportError? {
    guard let text, let range = text.firstRange(of: "error:"),
      let number = UInt32(text[range.upperBound...].prefix { $0.isHexDigit }, radix: 16), number >> 23 == ERR_LIB_SSL
    else { return nil }
    func error(_ kind: Code, _ message: String) -> HTTPTransportError {
      HTTPTransportError(code: kind, message: message, underlying: LibCurlError(code, detail))
    }
    let hasCertificate = configuration.tls.clientCertificate != nil
    let required = error(
      .clientCertificateRequired,
      "\(peer) wants a client certificate. Set the client certificate and the client certificate's key.")
    let refused = refused(peer, expiry, code, detail)
    switch Int32(bitPattern: number & 0x7f_ffff) {
    case 1116: return required
    // handshake_failure is how TLS 1.2 servers ask for a certificate, among other things.
    case 1040 where !hasCertificate && text.contains("handshake failure") && configuration.tls.minimumVersion == .tls12:
      return error(
        .tlsFailed,
        "\(peer) refused the TLS handshake. It may want a client certificate, or offer no cipher in common.")
    case 1042, 1043, 1044, 1045, 1046, 1048, 1049: return hasCertificate ? refused : required
    // protocol_version by the server, or OpenSSL's own finding that the version is too low.
    case 1070, SSL_R_UNSUPPORTED_PROTOCOL:
      return error(
        .tlsVersion,
        "\(peer) does not offer the TLS version that is required. Update the server, or allow TLS 1.2."
      )
    default: return nil
    }
  }

  private static func refused(
    _ peer: String, _ expiry: Int?, retryable: Bool = false, _ code: CURLcode, _ detail: String?
  ) -> HTTPTransportError {
    HTTPTransportError(
      code: .clientCertificateRefused,
      message: "\(peer) does not accept the client certificate. \(certificateAdvice(expiry))", isRetryable: retryable,
      underlying: LibCurlError(code, detail))
  }

  /// What may be wrong with a client certificate that is valid until then, in seconds since 1970.
  package static func certificateAdvice(_ expiry: Int?) -> String {
    if let expiry, case let date = Date(timeIntervalSince1970: Double(expiry)), date < Date() {
      return "It expired at \(Timestamp.text(date)): renew it."
    }
    return "Check that it is from an authority the server trusts, and that it is not revoked."
  }
}

extension LibCurlError {
  init(_ code: CURLcode, _ message: String?) {
    self.code = Int32(code.rawValue)
    self.message = message
  }
}
