public import ArgumentParser
public import DesiredState
import DesiredStateSupport
import SSHSignatures

/// What to trust, one of the three, without a default; and what this device demands beyond it.
struct TrustOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Trust signatures by the keys in this OpenSSH allowed_signers file.", valueName: "allowed-signers"))
  var trust: String?

  @Option(help: "How many distinct trusted keys must have signed.")
  var threshold: Int = 1

  @Option(help: "How many distinct keys must have signed the first trust update. (default: --threshold)")
  var trustThreshold: Int?

  @Option(
    help: ArgumentHelp(
      "Never count these keys: public keys, one a line, or a list made by ssh-keygen -k.", valueName: "file"))
  var revoked: String?

  @Flag(help: "Count only keys whose line names what they sign: namespaces=\"desired-state\" for manifests.")
  var requireNamespaces = false

  @Flag(help: "Trust the channel: what an authenticated source says counts without signatures.")
  var trustChannel = false

  @Flag(help: "Accept states without any evidence: every writer to the source decides what this device runs.")
  var acceptUnsigned = false

  @Flag(help: "Refuse a manifest that never expires.")
  var requireExpiry = false

  @Option(help: "Refuse a manifest that was issued longer ago, or does not say when: 12h, 7d.")
  var maxAge: TimeSpan?

  @Flag(help: "Refuse a manifest that does not name this device.")
  var requireDevice = false

  @Option(
    help: "Follow this alone: drop or plain. (default: either; who follows a signed drop stays with drops)")
  var content: TrustPolicy.Content?

  func validate() throws {
    switch (trust != nil ? 1 : 0) + (trustChannel ? 1 : 0) + (acceptUnsigned ? 1 : 0) {
    case 1: break
    case 0:
      throw ValidationError(
        """
        choose what to trust: --trust ALLOWED_SIGNERS (signatures by those keys; a line is \
        'ops@plant.example namespaces="desired-state" ssh-ed25519 AAAA…'), --trust-channel (an authenticated source), \
        or --accept-unsigned (every writer to the source).
        """)
    default: throw ValidationError("choose one of --trust, --trust-channel and --accept-unsigned, not several.")
    }
    guard threshold >= 1 else { throw ValidationError("--threshold must be at least 1.") }
    guard trustThreshold ?? 1 >= 1 else { throw ValidationError("--trust-threshold must be at least 1.") }
    guard trust == nil else { return }
    for (isGiven, name) in [
      (threshold != 1, "--threshold"), (trustThreshold != nil, "--trust-threshold"), (revoked != nil, "--revoked"),
      (requireNamespaces, "--require-namespaces"),
    ] where isGiven { throw ValidationError("\(name) goes with --trust.") }
  }

  /// The policy as the files are now.
  func policy() async throws -> TrustPolicy {
    var policy = trustChannel ? TrustPolicy.channel : .unsigned
    if let trust {
      policy = .signatures(
        by: try await KeyFiles.signers(trust), threshold: threshold, trustThreshold: trustThreshold)
    }
    if let revoked { policy.revoked = [try await KeyFiles.revoked(revoked)] }
    policy.requiresNamespaces = requireNamespaces
    policy.demands.expiry = requireExpiry
    policy.demands.maximumAge = maxAge?.duration.timeInterval
    policy.demands.device = requireDevice
    policy.demands.content = content
    return policy
  }

  /// What tells whether the files have changed.
  var fingerprint: [String?] { [trust, revoked].compactMap { $0 }.map { FileStatus(at: $0)?.fingerprint } }
}

extension TrustPolicy.Content: ExpressibleByArgument {}
