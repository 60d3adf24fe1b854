import CCurl

/// What OpenSSL knows of a transfer's connection. Only valid inside a callback of that transfer.
struct TLSSession {
  private let session: OpaquePointer

  /// Whether libcurl stands on OpenSSL, so that there is anything to look at.
  static let isAvailable = ccurl_is_openssl() != 0

  /// OpenSSL's name for a place on each session to remember something in: SSL_get_ex_new_index(3).
  private static let askedIndex = ccurl_tls_new_session_index()

  init?(_ easy: EasyHandle) {
    guard let session = ccurl_tls_session(easy.pointer) else { return nil }
    self.session = session
  }

  /// The server asked for a client certificate in this handshake.
  var wasAskedForCertificate: Bool { SSL_get_ex_data(session, Self.askedIndex) != nil }

  /// The URI subject alternative names of the server's certificate.
  var peerURIs: [[UInt8]] { Self.uris { ccurl_tls_peer_uris(session, $0, $1) } ?? [] }

  /// What the server's certificate is fit for.
  var peerCertificate: PeerCertificate? {
    var found = ccurl_certificate()
    return ccurl_tls_peer_certificate(session, &found) == 0 ? nil : PeerCertificate(found)
  }

  /// What a C function that calls back with each URI finds; nil if it found no certificate.
  fileprivate static func uris(_ find: (ccurl_on_uri, UnsafeMutableRawPointer) -> Int32) -> [[UInt8]]? {
    var uris: [[UInt8]] = []
    let hasCertificate = withUnsafeMutablePointer(to: &uris) { uris in
      find(
        { context, bytes, count in
          guard let context else { return }
          context.assumingMemoryBound(to: [[UInt8]].self).pointee
            .append(Array(UnsafeBufferPointer(start: bytes, count: Int(count))))
        }, uris)
    }
    return hasCertificate == 0 ? nil : uris
  }

  private static let easyIndex = ccurl_tls_new_context_index()
  private static let engineIndex = ccurl_tls_new_context_index()

  /// Called by libcurl for each TLS context it makes: CURLOPT_SSL_CTX_FUNCTION(3).
  ///
  /// The engine's context outlives every connection; the easy handle is only ever a key.
  static func prepare(_ context: OpaquePointer, of easy: UnsafeMutableRawPointer?, engine: UnsafeMutableRawPointer?) {
    SSL_CTX_set_ex_data(context, easyIndex, easy)
    SSL_CTX_set_ex_data(context, engineIndex, engine)
    // SSL_CTX_set_verify(3): called for each certificate of the chain with OpenSSL's finding, which is left
    // as it is. Remembered because libcurl loses it in a handshake inside another, behind an https proxy.
    SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context)) { isGood, store in
      if isGood == 0 { TLSSession.rememberFailure(store) }
      return isGood
    }
    // libcurl writes session keys to the file that SSLKEYLOGFILE names. The environment has no say here.
    SSL_CTX_set_keylog_callback(context, nil)
    // SSL_CTX_set_cert_cb(3): called when the server asks for a certificate; 1 goes on with the one that is set, if any.
    SSL_CTX_set_cert_cb(
      context,
      { session, _ in
        SSL_set_ex_data(session, TLSSession.askedIndex, UnsafeMutableRawPointer(bitPattern: 1))
        return 1
      }, nil)
  }

  private static func rememberFailure(_ store: OpaquePointer?) {
    guard let session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
      let context = SSL_get_SSL_CTX(OpaquePointer(session)),
      let easy = SSL_CTX_get_ex_data(context, easyIndex), let engine = SSL_CTX_get_ex_data(context, engineIndex)
    else { return }
    Unmanaged<EngineContext>.fromOpaque(engine).takeUnretainedValue()
      .verificationFailures[easy] = X509_STORE_CTX_get_error(store)
  }
}

extension HTTPClientCertificate {
  /// The URI subject alternative names of the certificate (RFC 5280 section 4.2.1.6), such as a SPIFFE ID; nil if the
  /// file cannot be read or holds no certificate in PEM form. Blocks while it is read.
  public var uris: [String]? {
    TLSSession.uris { ccurl_pem_uris(certificateFile, $0, $1) }?.map { String(decoding: $0, as: UTF8.self) }
  }
}
