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
    guard let newer = try await ask(source, { try await verifier.newerTrust(of: state, than: trust) }) else {
      return nil
    }
    try await store.follow(newer)
    configuration.logger.notice("following trust update \(newer.version) from \(source.source)")
    return Verifier(replacing: try await policy(), in: verifier)
  }

  /// Verifies a state. Where its signers do not count because the source shows another chain of trust updates, the
  /// refusal names the number at which that parts from this device's.
  func verify(
    _ fetched: FetchedState, from source: any DesiredStateBackend, by verifier: Verifier
  ) async throws -> VerifiedState {
    do {
      return try await ask(source) { try await source.verify(fetched, with: verifier) }
    } catch let error as VerificationError {
      guard [.signerUntrusted, .thresholdNotMet].contains(error.code), let trust = await store.trust else {
        throw error
      }
      // Looked for once for each fetched state: a refused one costs no requests of its own.
      let known = state.withLock { $0.sources[source.source]?.refused?.fork }
      var fork = known ?? nil
      if known == nil {
        do {
          fork = try await ask(source) { try await verifier.fork(of: fetched, from: trust) }
          state.withLock { $0.sources[source.source]?.refused?.fork = .some(fork) }
        } catch {
          log(.debug, "the source's trust updates cannot be read: \(error)", source.source)
        }
      }
      throw fork.map { Verifier.forked(at: $0, error) } ?? error
    }
  }

  /// A signer of the adopted state that is revoked, in whatever way, is said at once, also offline. The state stays: without another
  /// one to run in its place, taking it away would only stop the device.
  func noteRevokedSigners() async throws {
    guard let adopted = await store.adopted else { return }
    let policy = try await policy()
    // Verified under this very policy, it has good signers.
    let revoked = adopted.policy == policy.fingerprint ? [] : policy.revokedOnes(of: adopted)
    let before = await store.record.revokedSigners ?? []
    guard revoked != before else { return }
    try await store.markRevoked(revoked)
    guard !revoked.isEmpty else { return }
    configuration.logger.warning(
      "the adopted state is signed by keys that do not count any more: \(revoked.map(\.description).joined(separator: ", "))"
    )
  }

  /// Makes ``run()`` look now, or at once again if it is looking: files of keys changed, for instance.
  public func lookNow() {
    state.withLock { ($0.isLookAskedFor, $0.isHinted) = (true, true) }
    pollBell.ring()
  }
}
