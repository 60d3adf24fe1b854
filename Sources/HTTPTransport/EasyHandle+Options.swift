import CCurl
import HTTPTypes

extension EasyHandle {
  /// Sets everything that does not depend on the request.
  func apply(
    _ configuration: HTTPTransportConfiguration, _ material: TLSMaterial
  ) throws(HTTPTransportError) {
    // CURLOPT_NOSIGNAL(3): without it libcurl uses SIGALRM and changes signal handlers, in a program of many threads.
    try set(CURLOPT_NOSIGNAL, 1)
    // CURLOPT_QUICK_EXIT(3): removing a handle whose name is being resolved does not wait for the resolver's thread.
    try set(CURLOPT_QUICK_EXIT, 1)
    try set(CURLOPT_PROTOCOLS_STR, "http,https")
    // Redirects are judged by RequestPlan.decide.
    try set(CURLOPT_FOLLOWLOCATION, 0)
    // CURLOPT_PATH_AS_IS(3): do not squash "/../": the path is signed, hashed and compared elsewhere.
    try set(CURLOPT_PATH_AS_IS, 1)
    let version = configuration.versions == .http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1
    try set(CURLOPT_HTTP_VERSION, Int(version))
    // CURLOPT_PIPEWAIT(3): wait for a connection that may turn out to multiplex rather than open another.
    try set(CURLOPT_PIPEWAIT, configuration.versions == .http2 ? 1 : 0)
    try set(CURLOPT_CONNECTTIMEOUT_MS, max(1, configuration.connectTimeout.milliseconds))
    // CURLOPT_MAXAGE_CONN(3): how long a connection may idle. The engine sees to the age of connections.
    try set(CURLOPT_MAXAGE_CONN, 1 << 30)
    if let rate = configuration.maximumBytesPerSecond { try set(CURLOPT_BUFFERSIZE, min(max(rate / 4, 1024), 16384)) }
    if let userAgent = configuration.userAgent { try set(CURLOPT_USERAGENT, userAgent) }
    try apply(configuration.tls, material)
    try apply(configuration.proxy, minimum: configuration.tls.minimumVersion, material)
  }

  /// What libcurl calls for connections, whichever request they are made for.
  func setConnectionCallbacks(_ context: EngineContext) {
    // CURLOPT_CLOSESOCKETFUNCTION(3): it stays with the connection, which outlives this transfer. So its
    // context is the meter, which the engine keeps until libcurl has closed everything.
    let meterReference = Unmanaged.passUnretained(context.meter).toOpaque()
    _ = ccurl_set_open_socket(
      pointer,
      { context, _, address in
        guard let context, let address = address?.pointee else { return ccurl_bad_socket() }
        return Unmanaged<WireMeter>.fromOpaque(context).takeUnretainedValue()
          .open(address.family, address.socktype, address.protocol)
      }, meterReference)
    _ = ccurl_set_close_socket(
      pointer,
      { context, socket in
        guard let context else { return 1 }
        return Unmanaged<WireMeter>.fromOpaque(context).takeUnretainedValue().close(socket)
      }, meterReference)
    _ = ccurl_set_on_tls_context(
      pointer,
      { easy, tlsContext, engine in
        if let tlsContext { TLSSession.prepare(OpaquePointer(tlsContext), of: easy, engine: engine) }
        return CURLE_OK
      }, Unmanaged.passUnretained(context).toOpaque())
  }

  /// What libcurl calls for the transfer under way. Set once, with this handle as their context.
  func setTransferCallbacks() {
    let reference = Unmanaged.passUnretained(self).toOpaque()
    _ = ccurl_set_on_header(
      pointer,
      { bytes, size, count, context in
        // CURLOPT_HEADERFUNCTION(3): any other number than that of the bytes given ends the transfer.
        let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return EasyHandle.transfer(context)?.receive(headerLine: line) == true ? line.count : 0
      }, reference)
    _ = ccurl_set_on_body(
      pointer,
      { bytes, size, count, context in
        EasyHandle.transfer(context)?.receive(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
      }, reference)
    _ = ccurl_set_before_request(
      pointer,
      { context, _, _, _, _ in
        EasyHandle.transfer(context)?.isReadyToSend() == true
          ? Int32(CURL_PREREQFUNC_OK) : Int32(CURL_PREREQFUNC_ABORT)
      }, reference)
  }

  private static func transfer(_ context: UnsafeMutableRawPointer?) -> RunningTransfer? {
    context.flatMap { Unmanaged<EasyHandle>.fromOpaque($0).takeUnretainedValue().transfer }
  }

  private func apply(_ tls: HTTPTLSConfiguration, _ material: TLSMaterial) throws(HTTPTransportError) {
    try set(CURLOPT_SSLVERSION, tls.minimumVersion.option)
    try set(CURLOPT_SSL_VERIFYPEER, 1)
    try set(CURLOPT_SSL_VERIFYHOST, tls.expectedServerIdentity?.alsoMatchesHost == false ? 0 : 2)
    try apply(tls.trust, material.trust, file: CURLOPT_CAINFO, blob: CURLOPT_CAINFO_BLOB, directory: CURLOPT_CAPATH)
    // CURLOPT_CA_CACHE_TIMEOUT(3): the system's file, which is large, is kept parsed for as long as the engine lives.
    if case .system = tls.trust {
      try set(CURLOPT_CA_CACHE_TIMEOUT, 3600)
    } else {
      try set(CURLOPT_CA_CACHE_TIMEOUT, 0)
    }
    if let certificate = material.certificate, let key = material.key {
      try set(CURLOPT_SSLCERT_BLOB, certificate)
      try set(CURLOPT_SSLKEY_BLOB, key)
      // Without a passphrase OpenSSL would ask for one at the terminal; an empty one fails at once instead.
      try set(CURLOPT_KEYPASSWD, tls.clientCertificate?.passphrase?.value ?? "")
    }
  }

  /// libcurl has two stores, a file and a directory, both with built-in defaults and both believed:
  /// to pin an authority, the other one has to be put away.
  private func apply(
    _ trust: HTTPTrustRoots, _ bytes: TLSMaterial.Bytes?, file: CURLoption, blob: CURLoption, directory: CURLoption
  ) throws(HTTPTransportError) {
    let systemFile = ccurl_default_ca_file().map { String(cString: $0) }
    let systemDirectory = ccurl_default_ca_directory().map { String(cString: $0) }
    switch trust {
    case .system:
      // The file alone where there is one: libcurl keeps it parsed only while no directory is set.
      try set(file, systemFile)
      try set(directory, systemFile == nil ? systemDirectory : nil)
    case .systemAnd(let path):
      guard let systemDirectory else {
        throw .configuration("This libcurl knows no directory of system certificates to add \(path) to.")
      }
      try set(file, nil)
      if let bytes { try set(blob, bytes) }
      try set(directory, systemDirectory)
    case .only:
      try set(file, nil)
      if let bytes { try set(blob, bytes) }
      try set(directory, nil)
    }
  }

  private func apply(
    _ choice: HTTPProxyChoice, minimum: HTTPTLSVersion, _ material: TLSMaterial
  ) throws(HTTPTransportError) {
    try set(CURLOPT_PROXY_SSLVERSION, minimum.option)
    try set(CURLOPT_PROXY_SSL_VERIFYPEER, 1)
    try set(CURLOPT_PROXY_SSL_VERIFYHOST, 2)
    // CURLOPT_HEADEROPT(3): the server's fields are not sent to the proxy with CONNECT, nor the
    // proxy's answer to CONNECT taken for the server's.
    try set(CURLOPT_HEADEROPT, Int(CURLHEADER_SEPARATE))
    try set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    switch choice {
    case .environment:
      break
    case .direct:
      // CURLOPT_PROXY(3): an empty string, unlike NULL, disables proxies even if the environment names one.
      try set(CURLOPT_PROXY, "")
      try set(CURLOPT_NOPROXY, "")
    case .proxy(let proxy):
      try set(CURLOPT_PROXY, "\(proxy.origin)")
      // CURLOPT_NOPROXY(3): when it is NULL, libcurl reads no_proxy from the environment even for an explicit proxy.
      try set(CURLOPT_NOPROXY, "")
      try set(CURLOPT_PROXYAUTH, ccurl_auth_basic())
      if let user = proxy.user {
        try set(CURLOPT_PROXYUSERNAME, user)
        try set(CURLOPT_PROXYPASSWORD, proxy.password?.value ?? "")
      }
      try apply(
        proxy.trust, material.proxyTrust, file: CURLOPT_PROXY_CAINFO, blob: CURLOPT_PROXY_CAINFO_BLOB,
        directory: CURLOPT_PROXY_CAPATH)
    }
  }

  /// Sets the request's own options: all of them, because the handle has served other requests before.
  func apply(_ plan: RequestPlan, _ context: EngineContext) throws(HTTPTransportError) {
    clearErrorText()
    try set(CURLOPT_URL, plan.address.url)
    try apply(plan.credentials, context.secrets)
    // CURLOPT_HTTPGET(3): undoes CURLOPT_NOBODY and CURLOPT_POST.
    try set(CURLOPT_HTTPGET, 1)
    var hasBody = true
    if let bytes = plan.body {
      try set(CURLOPT_POST, 1)
      try set(postBytes: bytes)
    } else {
      hasBody = false
      switch plan.method {
      case .head:
        try set(CURLOPT_NOBODY, 1)
      case .post, .put, .patch:
        // RFC 9110 section 8.6: a method that anticipates content is sent with Content-Length: 0.
        try set(CURLOPT_POST, 1)
        try set(postBytes: [])
        hasBody = true
      default: break
      }
    }
    let isSpelledOut = hasBody || (plan.method != .get && plan.method != .head)
    try set(CURLOPT_CUSTOMREQUEST, isSpelledOut ? plan.method.rawValue : nil)
    try set(
      headerLines: Self.headerLines(
        plan.headerFields, hasBody: hasBody, asksForGzip: context.configuration.decodesContent))
  }

  private func apply(_ credentials: HTTPCredentials.Scheme?, _ secrets: SecretFiles) throws(HTTPTransportError) {
    var token: String?
    var user: String?
    var password: String?
    var method = ccurl_auth_basic()
    switch credentials {
    case .bearer(let secret):
      method = ccurl_auth_bearer()
      let value = try secrets.value(of: secret)
      token = value
      secrets.willSend(value)
    case .basic(let name, let secret):
      let value = try secrets.value(of: secret)
      user = name
      password = value
      secrets.willSend(HTTPCredentials.basic(name, value))
    case nil: break
    }
    try set(CURLOPT_HTTPAUTH, method)
    try set(CURLOPT_XOAUTH2_BEARER, token)
    try set(CURLOPT_USERNAME, user)
    try set(CURLOPT_PASSWORD, password)
  }

  /// CURLOPT_HTTPHEADER(3): "Name: value"; "Name;" sends a field with no value; "Name:" takes out one
  /// that libcurl would add.
  private static func headerLines(_ fields: HTTPFields, hasBody: Bool, asksForGzip: Bool) -> [String] {
    var lines = fields.map { $0.value.isEmpty ? "\($0.name.rawName);" : "\($0.name.rawName): \($0.value)" }
    if asksForGzip, !fields.contains(.acceptEncoding) { lines.append("Accept-Encoding: gzip") }
    if hasBody {
      // Some servers never answer Expect: 100-continue, and libcurl would wait a second for each.
      lines.append("Expect:")
      if !fields.contains(.contentType) { lines.append("Content-Type:") }
    }
    return lines
  }
}

extension HTTPTLSVersion {
  fileprivate var option: Int {
    switch self {
    case .tls12: Int(CURL_SSLVERSION_TLSv1_2)
    case .tls13: Int(CURL_SSLVERSION_TLSv1_3)
    }
  }
}

extension Duration {
  /// Whole milliseconds; far more than any timeout becomes about 24 days, which is what libcurl can count to.
  var milliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds < 2_000_000 else { return 2_000_000_000 }
    return max(0, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }
}
