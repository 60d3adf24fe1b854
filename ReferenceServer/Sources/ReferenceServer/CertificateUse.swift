import NIOSSL
import SwiftASN1

/// What a certificate says that it may be used for (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
struct CertificateUse: Equatable {
  /// It is that of an authority: `cA`.
  var isAuthority = false
  /// It may sign certificates or revocation lists: `keyCertSign`, `cRLSign`.
  var signsOthers = false

  /// Why a client cannot be known by it (X.509-SVID section 5.2); nil if it can.
  var fault: String? {
    if isAuthority { return "The client certificate is that of an authority (cA)." }
    return signsOthers ? "The client certificate may sign certificates or revocation lists." : nil
  }

  /// - Throws: what ``SwiftASN1`` throws for bytes that are no certificate.
  init(der: [UInt8]) throws {
    // Certificate: tbsCertificate, signatureAlgorithm, signature. The extensions are tagged with 3, and last.
    try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
      guard let body = nodes.next() else { throw ASN1Error.invalidASN1Object(reason: "there is no certificate in it") }
      while nodes.next() != nil {}
      try DER.sequence(body, identifier: .sequence) { fields in
        while let field = fields.next() {
          guard field.identifier == .init(tagWithNumber: 3, tagClass: .contextSpecific) else { continue }
          guard case .constructed(let content) = field.content else { continue }
          for list in content { try readExtensions(list) }
        }
      }
    }
  }

  private mutating func readExtensions(_ list: ASN1Node) throws {
    guard case .constructed(let extensions) = list.content else { return }
    for one in extensions {
      guard case .constructed(let parts) = one.content else { continue }
      // The id, whether it is critical if it is, and the value.
      let nodes = Array(parts)
      guard let first = nodes.first, let last = nodes.last,
        let id = try? ASN1ObjectIdentifier(derEncoded: first)
      else { continue }
      let value = try ASN1OctetString(derEncoded: last).bytes
      switch id {
      case [2, 5, 29, 19]:
        // BasicConstraints: cA is false where it is not said.
        guard case .constructed(let members) = try DER.parse(value).content else { continue }
        isAuthority = Array(members).first.flatMap { try? Bool(derEncoded: $0) } ?? false
      case [2, 5, 29, 15]:
        // KeyUsage: bits from the left; the fifth is keyCertSign, the sixth cRLSign.
        let bits = try ASN1BitString(derEncoded: try DER.parse(value)).bytes.first ?? 0
        signsOthers = bits & 0b0000_0110 != 0
      default: continue
      }
    }
  }
}
