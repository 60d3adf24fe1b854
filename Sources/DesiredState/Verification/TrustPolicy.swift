public import FoundationEssentials
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

  var requirement: Requirement
  /// How many distinct keys must sign the next trust update, in the namespace `desired-state-trust`.
  var trustThreshold = 1
  /// Keys that must not count, whatever the allowed signers say.
  public var revoked: [RevokedKeys] = []
  /// Keys that the trust update revokes.
  var revokedByUpdate: [RevokedKeys] = []
  /// The number of the trust update that the keys come from; 0 for those the policy was made with.
  public internal(set) var trustVersion: UInt64 = 0
  /// Whether only keys count whose line in the allowed signers names the namespace of what they sign.
  ///
  /// `ssh-keygen` lets a line without `namespaces=` sign anything, and so do manifests and commits unless this is set.
  /// Trust updates and receipts always need the name.
  public var requiresNamespaces = false
  /// What a manifest must say beyond what it says by itself.
  public var demands = Demands()

  /// What a device demands of every state. A publisher that does not offer it is refused.
  public struct Demands: Sendable, Hashable {
    /// Whether a manifest must expire.
    public var expiry = false
    /// How long ago a manifest may have been issued, in seconds; nil for any time.
    public var maximumAge: TimeInterval?
    /// Whether a manifest must name this device.
    public var device = false
    /// The kind of content that is accepted; nil for any, except that the device stays with a signed drop once it
    /// follows one.
    public var content: Content?

  }

  /// The two kinds of content that a source can have.
  public enum Content: String, Sendable, Hashable, CaseIterable {
    /// A drop, with a manifest of its publisher's.
    case drop
    /// A plain directory or tree.
    case plain
  }

  /// The largest version a device without any adopts. Default 2^63.
  package var maximumFirstVersion: UInt64
  /// The largest step from one version to the next. Default 2^40. Without it, a key that is stolen once could publish
  /// version 2^64-1, and no later version would ever be accepted again.
  package var maximumVersionStep: UInt64

  private init(_ requirement: Requirement) {
    self.requirement = requirement
    maximumFirstVersion = 1 << 63
    maximumVersionStep = 1 << 40
  }

  /// Signatures by `threshold` distinct keys of an `allowed_signers` file; by one key if the threshold is below 1.
  ///
  /// - Parameters:
  ///   - signers: whose signatures count.
  ///   - threshold: how many distinct keys must sign a manifest.
  ///   - trustThreshold: how many distinct keys must sign the first trust update; nil for `threshold`.
  public static func signatures(
    by signers: AllowedSigners, threshold: Int = 1, trustThreshold: Int? = nil
  ) -> TrustPolicy {
    var policy = TrustPolicy(.signatures(signers, threshold: max(1, threshold)))
    policy.trustThreshold = max(1, trustThreshold ?? threshold)
    return policy
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
  package var fingerprint: String {
    let requirement =
      switch requirement {
      case .signatures(let signers, let threshold): "signatures \(threshold)\n\(signers.canonicalDescription)"
      case .channel: "channel"
      case .unsigned: "unsigned"
      }
    let lists = (revoked + revokedByUpdate).map { Digest.of($0.digest).hexadecimal }.sorted().joined(separator: " ")
    let demanded =
      "\(demands.expiry) \(demands.maximumAge ?? -1) \(demands.device) \(demands.content?.rawValue ?? "any")"
    return Digest.of(
      """
      \(maximumFirstVersion) \(maximumVersionStep) \(trustVersion) \(trustThreshold) \(requiresNamespaces)
      \(demanded)
      \(lists)
      \(requirement)
      """.utf8
    ).description
  }
}

// An agent names its signers without having to import the library they are read by.
/// Whose signatures count: an OpenSSH `allowed_signers` file.
public typealias AllowedSigners = SSHSignatures.AllowedSigners
/// Keys that count no more: an OpenSSH list of keys, or a key revocation list.
public typealias RevokedKeys = SSHSignatures.RevokedKeys
