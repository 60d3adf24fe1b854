import DesiredStateSupport
public import FoundationEssentials

extension AllowedSigners {
  /// Why a key may not sign. Where several lines have the key, the reason of the line that comes closest.
  public enum UntrustedReason: Hashable, Sendable {
    /// No line has the key.
    case keyNotListed
    /// The key may sign, but not in this namespace.
    case namespaceNotAllowed(String)
    /// The key may sign anything, and this namespace must be named (`named` was asked for).
    case namespaceNotNamed(String)
    /// The key will be trusted from this second on.
    case notYetValid(from: Date)
    /// The key was trusted up to this second.
    case expired(after: Date)
    /// The key is listed as a certificate authority alone, and this signature came without a certificate.
    case onlyAuthority
    /// No `cert-authority` line has the certificate's authority.
    case authorityNotListed
    /// The certificate is a host's.
    case notUserCertificate
    /// The certificate has a critical option that is not known here.
    case criticalOption(String)
    /// The certificate is valid from this second on.
    case certificateNotYetValid(from: Date)
    /// The certificate is not valid any more since this second.
    case certificateExpired(at: Date)
    /// The certificate names no principal that the authority's line allows.
    case noPrincipal
    /// The key may sign, but not in this name.
    case principalNotNamed(String)
  }
}

extension AllowedSigners.UntrustedReason: CustomStringConvertible {
  /// The fault and the remedy, as the end of a sentence about the key.
  public var description: String {
    switch self {
    case .keyNotListed:
      "is not listed in the allowed signers"
    case .namespaceNotAllowed(let namespace):
      "is listed in the allowed signers, but its namespaces= does not have \(quoted(namespace))"
    case .namespaceNotNamed(let namespace):
      "is listed in the allowed signers without namespaces=, which is not enough for this; "
        + "list it with namespaces=\(quoted(namespace))"
    case .notYetValid(let date):
      "is listed in the allowed signers, but only from \(Timestamp.text(date)) on (valid-after=)"
    case .expired(let date):
      "is listed in the allowed signers, but only up to \(Timestamp.text(date)) (valid-before=)"
    case .onlyAuthority:
      "is listed in the allowed signers as a certificate authority only; sign with a certificate that it made"
    case .authorityNotListed:
      "came with a certificate whose authority is not listed in the allowed signers with cert-authority"
    case .notUserCertificate:
      "came with a host certificate; have a user certificate made (ssh-keygen -s, without -h)"
    case .criticalOption(let name):
      "came with a certificate that has the critical option \(quoted(name)), which is not for signatures; "
        + "have one made without it"
    case .certificateNotYetValid(let date):
      "came with a certificate that is valid only from \(Self.text(date)) on"
    case .certificateExpired(let date):
      "came with a certificate that was valid only until \(Self.text(date)); have a new one made"
    case .noPrincipal:
      "came with a certificate that names no principal which its authority's line in the allowed signers allows"
    case .principalNotNamed(let principal):
      "is listed in the allowed signers, but may not sign in the name of \(quoted(principal))"
    }
  }

  /// Times of certificates reach beyond every calendar.
  private static func text(_ date: Date) -> String {
    Timestamp.canWrite(date) ? Timestamp.text(date) : "a time beyond the year 9999"
  }
}
