/// The textual form of certificates (RFC 7468).
package enum PEM {
  /// A certificate.
  ///
  /// - Parameter base64: its DER form in Base64, on one line.
  package static func certificate(base64: String) -> String {
    var text = "-----BEGIN CERTIFICATE-----\n"
    let encoded = Array(base64.utf8)
    for start in stride(from: 0, to: encoded.count, by: 64) {
      text += String(decoding: encoded[start..<min(start + 64, encoded.count)], as: UTF8.self) + "\n"
    }
    return text + "-----END CERTIFICATE-----\n"
  }
}
