import SSHSignatures

extension TrustPolicy {
  /// This policy with the keys of a trust update in the place of its own. Revoked keys that were given to the policy
  /// itself stay revoked, and its demands stay.
  ///
  /// A policy that does not ask for signatures stays as it is.
  ///
  /// - Throws: ``VerificationError`` with `trust-invalid`.
  func following(_ trust: TrustState?) throws(VerificationError) -> TrustPolicy {
    guard let trust, requiresSignatures else { return self }
    return with(try trust.update.keys(), version: trust.version)
  }

  func with(_ keys: TrustedKeys, version: UInt64) -> TrustPolicy {
    var policy = self
    policy.requirement = .signatures(keys.allowedSigners, threshold: keys.threshold)
    policy.trustThreshold = keys.trustThreshold
    policy.revokedByUpdate = keys.revoked
    policy.trustVersion = version
    return policy
  }
}
