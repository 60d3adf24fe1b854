import CCurl
import DesiredStateSupport
import FoundationEssentials

/// The X.509 authorities of a trust domain: a JWK set (RFC 7517) as *SPIFFE Trust Domain and Bundle* section 4 has it, in
/// which other keys may stand too, or a map of such sets by trust domain (section 5).
package struct SPIFFEBundle: Sendable, Equatable {
  /// Why a file is not one, in words that follow "The trusted authorities".
  package struct Fault: Error, Sendable, CustomStringConvertible {
    package let description: String
  }

  /// Grows whenever the bundle changes; nil if it does not count.
  package var sequence: UInt64?
  /// How often to look for another one.
  package var refreshHint: Duration?
  /// The authorities' certificates in Base64 (DER), at least one.
  package var authorities: [String]

  /// Whether a file of authorities is one of these and not PEM.
  package static func isOne(_ bytes: [UInt8]) -> Bool {
    bytes.first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) } == UInt8(ascii: "{")
  }

  /// Reads the authorities of a trust domain.
  ///
  /// - Parameter trustDomain: whose they are; in a map, only its own set counts. Nil: that of a map with one.
  package init(parsing bytes: [UInt8], trustDomain: String?) throws(Fault) {
    let set: KeySet
    if let map = try? JSON.decode(BundleMap.self, from: bytes) {
      guard let domain = trustDomain ?? (map.domains.count == 1 ? map.domains.keys.first : nil) else {
        throw Fault(description: "are a map of several trust domains, and the own certificate names none of them")
      }
      guard let own = map.domains[domain] else {
        throw Fault(description: "are a map of trust domains without \(quoted(domain, limit: 255))")
      }
      set = own
    } else if let bundle = try? JSON.decode(KeySet.self, from: bytes) {
      set = bundle
    } else {
      throw Fault(description: "are no SPIFFE bundle")
    }
    sequence = set.sequence
    refreshHint = set.refreshHint
    authorities = []
    // Keys for JWT-SVIDs, and others that there may be, are not for this.
    for key in set.keys where key.use == "x509-svid" {
      guard let text = key.x5c?.first, let certificate = Data(base64Encoded: text), !certificate.isEmpty else {
        throw Fault(description: "are a SPIFFE bundle with an authority that has no certificate")
      }
      authorities.append(certificate.base64EncodedString())
    }
    // To go on with no authority would be to trust none, or worse, all.
    guard !authorities.isEmpty else { throw Fault(description: "are a SPIFFE bundle without an X.509 authority") }
    let pem = pem
    guard Int(ccurl_pem_certificates(pem, pem.count)) == authorities.count else {
      throw Fault(description: "are a SPIFFE bundle with an authority whose certificate cannot be read")
    }
  }

  /// The authorities in PEM form (RFC 7468).
  package var pem: [UInt8] { authorities.flatMap { Array(PEM.certificate(base64: $0).utf8) } }

  private struct BundleMap: Decodable {
    var domains: [String: KeySet]

    enum CodingKeys: String, CodingKey { case domains = "trust_domains" }
  }

  private struct KeySet: Decodable {
    var keys: [Key]
    var sequence: UInt64?
    var refreshHint: Duration?

    enum CodingKeys: String, CodingKey {
      case keys
      case sequence = "spiffe_sequence"
      case refreshHint = "spiffe_refresh_hint"
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      keys = try container.decode([Key].self, forKey: .keys)
      sequence = try container.decodeIfPresent(UInt64.self, forKey: .sequence)
      let hint = try? container.decodeIfPresent(Double.self, forKey: .refreshHint)
      refreshHint = hint.flatMap { $0.isFinite && $0 > 0 ? .seconds(min($0, 1e9)) : nil }
    }
  }

  /// A key; one with certificates in it is an authority of X.509-SVIDs.
  private struct Key: Decodable {
    var use: String?
    /// Certificates in Base64; the first is the authority's.
    var x5c: [String]?
  }
}
