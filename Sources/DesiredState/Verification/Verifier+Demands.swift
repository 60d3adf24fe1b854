import DesiredStateSupport
import FoundationEssentials
import SSHSignatures

extension Verifier {
  /// Whether the state is of the kind that this device follows. Asked first: it costs nothing.
  func checkContent(_ state: FetchedState) throws(VerificationError) {
    let content: TrustPolicy.Content = state.isSynthesised ? .plain : .drop
    if let demanded = policy.demands.content {
      guard content == demanded else {
        throw VerificationError(
          .wrongContent,
          content == .plain
            ? "the source has no manifest, and this device follows drops alone; publish a drop there"
            : "the source has a drop, and this device follows plain content alone; demand a drop, or any content, here")
      }
    } else if content == .plain, followsDrop, policy.requiresSignatures {
      throw VerificationError(
        .wrongContent,
        "this device follows a signed drop, and the source has plain content without device, version and expiry; "
          + "publish a drop again, or demand plain content on this device")
    }
  }

  /// What this device demands of a manifest beyond what its publisher offers.
  func checkDemands(_ manifest: StateManifest) throws(VerificationError) {
    let demands = policy.demands
    if demands.device, manifest.device == nil {
      throw VerificationError(
        .deviceMissing,
        "the manifest names no device, and this one demands its name \(quoted(device)); publish for this device")
    }
    if demands.expiry, manifest.expires == nil {
      throw VerificationError(
        .expired, "the manifest never expires, and this device demands that it does; publish with an expiry")
    }
    if demands.maximumAge != nil {
      guard let issued = manifest.issued else {
        throw VerificationError(
          .tooOld, "the manifest does not say when it was issued, and this device demands it; publish a new version")
      }
      try checkAge(issued)
    }
  }

  /// Whether a state that was issued then is young enough; also asked of a state adopted earlier that a source keeps
  /// offering.
  func checkAge(_ issued: Date) throws(VerificationError) {
    guard let limit = policy.demands.maximumAge, time.timeIntervalSince(issued) > limit else { return }
    throw VerificationError(
      .tooOld,
      "the manifest was issued at \(Timestamp.text(issued)), which is longer ago than the \(Duration.seconds(limit)) "
        + "that this device allows (it is \(Timestamp.text(time))); publish a new version")
  }
}

extension TrustPolicy {
  /// Why the maker of a signature must not count, or nil if it may.
  func revocation(of signature: SSHSignature) -> RevokedKeys.Revocation? {
    for list in revoked + revokedByUpdate {
      if let revocation = list.revocation(of: signature) { return revocation }
    }
    return nil
  }
}
