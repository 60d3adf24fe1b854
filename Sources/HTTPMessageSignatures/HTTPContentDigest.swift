import Crypto
import FoundationEssentials
import RawStructuredFieldValues

/// `Content-Digest` and `Repr-Digest` (RFC 9530): by which a signature covers a body.
public enum HTTPContentDigest {
  /// The algorithms that RFC 9530 has active.
  public enum Algorithm: String, Sendable, CaseIterable {
    /// SHA-256 (FIPS 180-4).
    case sha256 = "sha-256"
    /// SHA-512 (FIPS 180-4).
    case sha512 = "sha-512"

    func digest(_ body: [UInt8]) -> [UInt8] {
      switch self {
      case .sha256: Array(SHA256.hash(data: body))
      case .sha512: Array(SHA512.hash(data: body))
      }
    }
  }

  /// The field's value for a body.
  public static func field(of body: [UInt8], _ algorithms: [Algorithm] = [.sha256]) -> String {
    algorithms.map { "\($0.rawValue)=:\(base64($0.digest(body))):" }.joined(separator: ", ")
  }

  /// Checks a body against a field: every digest in it of a known algorithm has to fit, and there has to be one.
  ///
  /// - Throws: ``HTTPSignatureError`` with `digest-mismatch` or `signature-malformed`.
  public static func verify(_ field: String, of body: [UInt8]) throws(HTTPSignatureError) {
    let members: OrderedMap<String, ItemOrInnerList>
    do { members = try StructuredFields.dictionary(field) } catch {
      throw HTTPSignatureError(.malformed, "the digest field is no dictionary (RFC 9651)")
    }
    var isChecked = false
    for algorithm in Algorithm.allCases {
      guard let member = members[algorithm.rawValue] else { continue }
      guard case .item(let item) = member, case .undecodedByteSequence(let encoded) = item.rfc9651BareItem,
        let digest = Data(base64Encoded: encoded)
      else { throw HTTPSignatureError(.malformed, "the digest field's \(algorithm.rawValue) is no byte sequence") }
      guard Array(digest) == algorithm.digest(body) else {
        throw HTTPSignatureError(.digest, "the body does not have the \(algorithm.rawValue) digest that its field says")
      }
      isChecked = true
    }
    guard isChecked else {
      throw HTTPSignatureError(.digest, "the digest field has none of sha-256 and sha-512")
    }
  }
}

/// Base64 with padding (RFC 4648 section 4).
func base64(_ bytes: some Sequence<UInt8>) -> String { Data(bytes).base64EncodedString() }
