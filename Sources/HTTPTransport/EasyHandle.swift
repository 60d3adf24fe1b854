import CCurl

/// One libcurl easy handle with the memory its options point to.
///
/// Used on one thread at a time only, as libcurl demands: on the engine's.
final class EasyHandle {
  let pointer: UnsafeMutableRawPointer
  /// CURLOPT_ERRORBUFFER(3): at least CURL_ERROR_SIZE bytes, which must live until the handle is cleaned up.
  private let errorBuffer: UnsafeMutablePointer<CChar>
  /// The bytes of certificates and keys that its options point to.
  private let material: TLSMaterial
  /// CURLOPT_HTTPHEADER(3): libcurl does not copy the list; it is freed after the transfer.
  private var headerList: UnsafeMutablePointer<curl_slist>?

  /// What libcurl calls back for. The engine keeps it alive for as long as the handle is in libcurl's hands.
  unowned(unsafe) var transfer: RunningTransfer?

  /// A handle with everything set that does not depend on the request.
  init(_ context: EngineContext, _ material: TLSMaterial) throws(HTTPTransportError) {
    self.material = material
    guard let pointer = curl_easy_init() else {
      throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.", isRetryable: true)
    }
    self.pointer = pointer
    errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    _ = ccurl_set_pointer(pointer, CURLOPT_ERRORBUFFER, errorBuffer)
    try apply(context.configuration, material)
    setConnectionCallbacks(context)
    setTransferCallbacks()
  }

  deinit {
    curl_easy_cleanup(pointer)
    curl_slist_free_all(headerList)
    errorBuffer.deallocate()
  }

  /// What libcurl wrote about the last failure. Read right after the failure: the next call may overwrite it.
  var errorText: String? {
    errorBuffer[0] == 0 ? nil : String(cString: errorBuffer)
  }

  func clearErrorText() { errorBuffer[0] = 0 }

  func set(_ option: CURLoption, _ value: String?) throws(HTTPTransportError) {
    try check(ccurl_set_string(pointer, option, value), option)
  }

  func set(_ option: CURLoption, _ value: Int) throws(HTTPTransportError) {
    try check(ccurl_set_long(pointer, option, value), option)
  }

  func set(_ option: CURLoption, _ bytes: TLSMaterial.Bytes) throws(HTTPTransportError) {
    try check(ccurl_set_blob(pointer, option, bytes.buffer.baseAddress, bytes.buffer.count), option)
  }

  func set(postBytes bytes: [UInt8]) throws(HTTPTransportError) {
    // No bytes still want an address: NULL would mean that the read callback is to be asked for them.
    let code = bytes.withUnsafeBytes {
      ccurl_set_post_bytes(pointer, $0.baseAddress ?? UnsafeRawPointer(errorBuffer), curl_off_t($0.count))
    }
    try check(code, CURLOPT_COPYPOSTFIELDS)
  }

  func set(headerLines lines: [String]) throws(HTTPTransportError) {
    curl_slist_free_all(headerList)
    headerList = nil
    for line in lines {
      // curl_slist_append(3): NULL on failure, with the old list left as it was.
      guard let longer = curl_slist_append(headerList, line) else {
        throw HTTPTransportError(code: .internalFailure, message: "libcurl is out of memory.", isRetryable: true)
      }
      headerList = longer
    }
    try check(ccurl_set_list(pointer, CURLOPT_HTTPHEADER, headerList), CURLOPT_HTTPHEADER)
  }

  private func check(_ code: CURLcode, _ option: CURLoption) throws(HTTPTransportError) {
    guard code == CURLE_OK else {
      throw HTTPTransportError(
        code: .configuration,
        message: "This libcurl does not take option \(option.rawValue) as it was set. "
          + "It has to be built with TLS (OpenSSL) and HTTP/2.",
        underlying: LibCurlError(code, nil))
    }
  }
}
