import DesiredStateSupport
import FoundationEssentials

/// What the device trusts now, and how that changes while it runs.
extension Reconciler {
  /// What counts now: the configured policy, with the keys of the trust update that the store follows.
  func policy() async throws -> TrustPolicy {
    let configured = await configuration.currentPolicy?() ?? configuration.policy
    guard let trust = await store.trust, let digest = trust.digests.last, configured.requiresSignatures else {
      return configured
    }
    let known = trustedKeys.withLock { $0?.digest == digest ? $0?.keys : nil }
    let keys = try known ?? trust.update.keys()
    trustedKeys.withLock { $0 = (digest, keys) }
    return configured.with(keys, version: trust.version)
  }

  /// Takes over the trust updates that a state needs, and makes them durable before the state is weighed.
  ///
  /// - Returns: the verifier to weigh it by, if it is another one than before.
  func followTrust(
    of state: FetchedState, from source: any DesiredStateBackend, _ verifier: Verifier
  ) async throws -> Verifier? {
    let trust = await store.trust
    guard let newer = try await ask(source, { try await verifier.newerTrust(of: state, than: trust) }) else { return nil }
    try await store.follow(newer)
    configuration.logger.notice("following trust update \(newer.version) from \(source.source)")
    return Verifier(replacing: try await policy(), in: verifier)
  }

  /// A signer of the adopted state whose key is revoked is said at once, also offline. The state stays: without another
  /// one to run in its place, taking it away would only stop the device.
  func noteRevokedSigners() async throws {
    guard let adopted = await store.adopted else { return }
    let revoked = try await policy().revokedOnes(of: adopted.signers)
    let before = await store.record.revokedSigners ?? []
    guard revoked != before else { return }
    try await store.markRevoked(revoked)
    guard !revoked.isEmpty else { return }
    configuration.logger.warning(
      "the adopted state is signed by keys that are revoked: \(revoked.map(\.description).joined(separator: ", "))")
  }

  /// Makes ``run()`` look now, or at once again if it is looking: files of keys changed, for instance.
  public func lookNow() {
    state.withLock { ($0.isLookAskedFor, $0.isHinted) = (true, true) }
    pollBell.ring()
  }
}
