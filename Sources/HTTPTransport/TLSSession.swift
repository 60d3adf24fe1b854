import CCurl

/// What OpenSSL knows of a transfer's connection. Only valid inside a callback of that transfer.
struct TLSSession {
  private let session: OpaquePointer

  /// Whether libcurl stands on OpenSSL, so that there is anything to look at.
  static let isAvailable = ccurl_is_openssl() != 0

  /// OpenSSL's name for a place on each session to remember something in: SSL_get_ex_new_index(3).
  private static let askedIndex = ccurl_tls_new_session_index()

  init?(_ easy: EasyHandle) {
    guard Self.isAvailable, let session = ccurl_tls_session(easy.pointer) else { return nil }
    self.session = session
  }

  /// The server asked for a client certificate in this handshake, and there was none to give.
  var wasAskedForCertificate: Bool { SSL_get_ex_data(session, Self.askedIndex) != nil }

  /// The URI subject alternative names of the server's certificate.
  var peerURIs: [[UInt8]] {
    var uris: [[UInt8]] = []
    withUnsafeMutablePointer(to: &uris) { uris in
      _ = ccurl_tls_peer_uris(
        session,
        { context, bytes, count in
          guard let context else { return }
          context.assumingMemoryBound(to: [[UInt8]].self).pointee
            .append(Array(UnsafeBufferPointer(start: bytes, count: Int(count))))
        }, uris)
    }
    return uris
  }

  /// Called by libcurl for each TLS context it makes: CURLOPT_SSL_CTX_FUNCTION(3).
  static func prepare(_ context: UnsafeMutableRawPointer?) {
    guard let context = context.map({ OpaquePointer($0) }) else { return }
    // libcurl writes session keys to the file that SSLKEYLOGFILE names. The environment has no say here.
    SSL_CTX_set_keylog_callback(context, nil)
    // SSL_CTX_set_client_cert_cb(3): called when the server asks for a certificate and none is set; 0 sends none.
    SSL_CTX_set_client_cert_cb(context) { session, _, _ in
      SSL_set_ex_data(session, TLSSession.askedIndex, UnsafeMutableRawPointer(bitPattern: 1))
      return 0
    }
  }
}
