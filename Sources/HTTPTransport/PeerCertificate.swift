import CCurl

/// What a server's certificate may be used for, and by which algorithms it was made.
struct PeerCertificate {
  private let found: ccurl_certificate

  init(_ found: ccurl_certificate) { self.found = found }

  /// Why it does not prove an identity that it carries; nil if it does.
  func fault(as identity: HTTPServerIdentity) -> String? {
    if identity.trustDomain != nil {
      // X.509-SVID section 5.2: a leaf, and not one that could make others.
      if found.is_authority != 0 { return "it is that of an authority (cA)" }
      if found.signs_others != 0 { return "it may sign certificates or revocation lists (keyCertSign, cRLSign)" }
    }
    switch identity.algorithms {
    case .any: return nil
    case .strong: return weakKey ?? weakSignature
    }
  }

  private static let leastRSABits = 3072

  private var weakKey: String? {
    switch found.key_type {
    case NID_X9_62_id_ecPublicKey:
      [NID_X9_62_prime256v1, NID_secp384r1].contains(found.curve)
        ? nil : "its key is on another curve than P-256 and P-384"
    case NID_ED25519: nil
    case NID_rsaEncryption, NID_rsassaPss:
      Int(found.key_bits) >= Self.leastRSABits
        ? nil : "its RSA key has \(found.key_bits) bits, fewer than \(Self.leastRSABits)"
    default: "its key is neither ECDSA on P-256 or P-384, nor Ed25519, nor RSA"
    }
  }

  private var weakSignature: String? {
    switch found.signature_type {
    case NID_X9_62_id_ecPublicKey:
      [NID_sha256, NID_sha384].contains(found.signature_digest) ? nil : "it is signed with neither SHA-256 nor SHA-384"
    case NID_ED25519: nil
    case NID_rsaEncryption, NID_rsassaPss:
      // The issuer's key: an RSA signature is as long as the modulus.
      Int(found.signature_bits) < Self.leastRSABits
        ? "it is signed by an RSA key of \(found.signature_bits) bits, fewer than \(Self.leastRSABits)"
        : found.signature_digest == NID_sha256 ? nil : "it is signed by RSA with another digest than SHA-256"
    default: "it is signed by an algorithm other than ECDSA, Ed25519 and RSA"
    }
  }
}
