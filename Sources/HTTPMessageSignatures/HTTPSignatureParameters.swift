public import FoundationEssentials
import RawStructuredFieldValues

/// What a signature says of itself (RFC 9421 section 2.3).
public struct HTTPSignatureParameters: Sendable, Hashable {
  /// When it was made; whole seconds.
  public var created: Date?
  /// When it stops to count; whole seconds.
  public var expires: Date?
  /// Which key made it, in words that signer and verifier share.
  public var keyID: String?
  /// The algorithm, by its registered name. A verifier goes by its key and only compares.
  public var algorithm: String?
  /// A value that is used once.
  public var nonce: String?
  /// Its purpose.
  public var tag: String?

  /// Parameters; those that are nil are left out.
  public init(
    created: Date? = nil, expires: Date? = nil, keyID: String? = nil, algorithm: String? = nil, nonce: String? = nil,
    tag: String? = nil
  ) {
    self.created = created
    self.expires = expires
    self.keyID = keyID
    self.algorithm = algorithm
    self.nonce = nonce
    self.tag = tag
  }

  /// In the order in which the RFC's examples have them.
  var map: OrderedMap<String, RFC9651BareItem> {
    var map = OrderedMap<String, RFC9651BareItem>()
    if let created { map["created"] = .integer(Int64(created.timeIntervalSince1970)) }
    if let expires { map["expires"] = .integer(Int64(expires.timeIntervalSince1970)) }
    if let keyID { map["keyid"] = .string(keyID) }
    if let nonce { map["nonce"] = .string(nonce) }
    if let algorithm { map["alg"] = .string(algorithm) }
    if let tag { map["tag"] = .string(tag) }
    return map
  }

  init(_ map: OrderedMap<String, RFC9651BareItem>) throws(HTTPSignatureError) {
    func text(_ name: String) throws(HTTPSignatureError) -> String? {
      switch map[name] {
      case nil: return nil
      case .string(let text): return text
      default: throw HTTPSignatureError(.malformed, "the signature's \(name) is not a string")
      }
    }
    func time(_ name: String) throws(HTTPSignatureError) -> Date? {
      switch map[name] {
      case nil: return nil
      case .integer(let seconds): return Date(timeIntervalSince1970: Double(seconds))
      default: throw HTTPSignatureError(.malformed, "the signature's \(name) is not a whole number")
      }
    }
    self.init(
      created: try time("created"), expires: try time("expires"), keyID: try text("keyid"),
      algorithm: try text("alg"), nonce: try text("nonce"), tag: try text("tag"))
  }
}
