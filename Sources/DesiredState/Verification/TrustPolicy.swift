import FoundationEssentials
public import SSHSignatures

/// Which evidence is enough to adopt a state.
public struct TrustPolicy: Sendable {
  /// What must vouch for a state.
  public enum Requirement: Sendable {
    /// Signatures by at least `threshold` distinct keys that `signers` allows.
    case signatures(AllowedSigners, threshold: Int)
    /// A channel that proved who the source is, such as verified TLS. A directory is none.
    case channel
    /// Nothing. Only when asked for by name: anybody who can write to the source decides what this device runs.
    case unsigned
  }

  public var requirement: Requirement
  /// The largest version a device without any adopts. Default 2^63.
  public var maximumFirstVersion: UInt64
  /// The largest step from one version to the next. Default 2^40. Without it, whoever once holds a key could publish
  /// version 2^64-1 and no later version would ever be accepted again.
  public var maximumVersionStep: UInt64

  public init(
    _ requirement: Requirement, maximumFirstVersion: UInt64 = 1 << 63, maximumVersionStep: UInt64 = 1 << 40
  ) {
    self.requirement = requirement
    self.maximumFirstVersion = maximumFirstVersion
    self.maximumVersionStep = maximumVersionStep
  }

  /// Signatures by `threshold` distinct keys of an `allowed_signers` file.
  public static func signatures(by signers: AllowedSigners, threshold: Int = 1) -> TrustPolicy {
    TrustPolicy(.signatures(signers, threshold: max(1, threshold)))
  }
  /// The transport's own proof of the source's identity.
  public static var channel: TrustPolicy { TrustPolicy(.channel) }
  /// No evidence at all.
  public static var unsigned: TrustPolicy { TrustPolicy(.unsigned) }

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

/// Who vouches for a state.
public struct Signer: Sendable, Hashable, Codable {
  /// The names `allowed_signers` gives the key.
  public var principals: [String]
  /// The key's fingerprint as `ssh-keygen -l` prints it.
  public var key: String

  public init(principals: [String], key: String) {
    self.principals = principals
    self.key = key
  }
}

/// What a backend found out about a state beyond the manifest's own signatures.
public enum Endorsement: Sendable {
  /// A signature over something that fixes the state (a Git commit), by a key that
  /// ``Verifier/signers(of:signatures:namespace:)`` found trusted.
  case signer(Signer)
  /// The source proved who it is; the text says how, for the operator.
  case channel(String)
}
