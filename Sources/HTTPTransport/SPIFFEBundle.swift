import DesiredStateSupport
import FoundationEssentials

/// The X.509 authorities of a SPIFFE bundle: a JWK set (RFC 7517) as *SPIFFE Trust Domain and Bundle* section 4 has it, in
/// which other keys may stand too.
struct SPIFFEBundle: Decodable {
  var keys: [Key]

  /// A key; one with certificates in it is an authority of X.509-SVIDs.
  struct Key: Decodable {
    var use: String?
    /// Certificates in Base64; the first is the authority's.
    var x5c: [String]?
  }

  /// Whether a file of authorities is one of these and not PEM.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    bytes.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } == UInt8(ascii: "{")
  }

  /// The authorities in PEM form; nil if it cannot be read, or has none: to go on with no authority would be to trust none,
  /// or worse, all.
  static func pem(of bytes: [UInt8]) -> [UInt8]? {
    guard let bundle = try? JSON.decode(SPIFFEBundle.self, from: bytes) else { return nil }
    var pem = ""
    // Keys for JWT-SVIDs, and whatever else there may be, are not for this.
    for key in bundle.keys where key.use == "x509-svid" {
      guard let text = key.x5c?.first, let certificate = Data(base64Encoded: text) else { return nil }
      pem += "-----BEGIN CERTIFICATE-----\n"
      let encoded = Array(certificate.base64EncodedString().utf8)
      for start in stride(from: 0, to: encoded.count, by: 64) {
        pem += String(decoding: encoded[start..<min(start + 64, encoded.count)], as: UTF8.self) + "\n"
      }
      pem += "-----END CERTIFICATE-----\n"
    }
    return pem.isEmpty ? nil : Array(pem.utf8)
  }
}
