import FoundationEssentials
public import SSHSignatures

/// Which evidence is enough to adopt a state.
public struct TrustPolicy: Sendable {
  /// What must vouch for a state. Made by the functions below alone, so that a threshold is at least 1.
  enum Requirement: Sendable {
    /// Signatures by at least `threshold` distinct keys that `signers` allows.
    case signatures(AllowedSigners, threshold: Int)
    /// A channel that proved who the source is, such as verified TLS. A directory has none.
    case channel
    /// Nothing. Only when asked for by name: every writer to the source decides what this device runs.
    case unsigned
  }

  let requirement: Requirement
  /// The largest version a device without any adopts. Default 2^63.
  public var maximumFirstVersion: UInt64
  /// The largest step from one version to the next. Default 2^40. Without it, a key that is stolen once could publish
  /// version 2^64-1, and no later version would ever be accepted again.
  public var maximumVersionStep: UInt64

  private init(_ requirement: Requirement) {
    self.requirement = requirement
    maximumFirstVersion = 1 << 63
    maximumVersionStep = 1 << 40
  }

  /// Signatures by `threshold` distinct keys of an `allowed_signers` file; by one key if the threshold is below 1.
  public static func signatures(by signers: AllowedSigners, threshold: Int = 1) -> TrustPolicy {
    TrustPolicy(.signatures(signers, threshold: max(1, threshold)))
  }
  /// The transport's own proof of the source's identity.
  public static var channel: TrustPolicy { TrustPolicy(.channel) }
  /// No evidence at all.
  public static var unsigned: TrustPolicy { TrustPolicy(.unsigned) }

  /// Whether signatures decide. Other evidence need not be weighed then, and signatures only then.
  public var requiresSignatures: Bool {
    if case .signatures = requirement { true } else { false }
  }

  /// Differs for any two policies that may decide differently. A state adopted under another policy is verified again
  /// although its source says it is unchanged.
  public var fingerprint: String {
    let requirement =
      switch requirement {
      case .signatures(let signers, let threshold): "signatures \(threshold)\n\(signers.canonicalDescription)"
      case .channel: "channel"
      case .unsigned: "unsigned"
      }
    return Digest.of("\(maximumFirstVersion) \(maximumVersionStep) \(requirement)".utf8).description
  }
}

// An agent names its signers without having to import the library they are read by.
public typealias AllowedSigners = SSHSignatures.AllowedSigners
