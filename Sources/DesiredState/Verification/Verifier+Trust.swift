import DesiredStateSupport
import SSHSignatures

extension Verifier {
  /// Reads the trust updates that a fetched state needs and this verifier does not have yet, each verified by the one
  /// before it.
  ///
  /// A manifest says which one it needs (`x-desired-state-extensions.trust`). Its word is taken only for that: an update
  /// counts by its signatures alone. A source without a manifest cannot say, and is asked for the next one.
  ///
  /// - Parameter trust: the update that the device follows; nil for the trust that it was set up with.
  /// - Returns: the update to follow from now on, if it is another one. It must be durable before the state is weighed.
  /// - Throws: ``VerificationError`` with `trust-missing` or `trust-invalid`; ``BackendError``; `CancellationError`.
  package func newerTrust(of state: FetchedState, than trust: TrustState?) async throws -> TrustState? {
    guard policy.requiresSignatures, state.manifest.count <= limits.manifestSize else { return nil }
    let known = trust?.version ?? 0
    let needed = state.isSynthesised ? nil : Self.neededTrust(in: state.manifest)
    if !state.isSynthesised, needed ?? 0 <= known { return nil }
    var current = trust
    var verifier = self
    let last = known.addingReportingOverflow(TrustUpdate.maximumCount).partialValue
    while (current?.version ?? 0) < needed ?? last {
      let number = (current?.version ?? 0) + 1
      guard number <= last else { break }
      guard let file = try await state.trustUpdate(number, limits: limits) else {
        if needed != nil, current == trust { throw Self.missing(number, needed) }
        break
      }
      do throws(VerificationError) {
        let next = try verifier.verify(file, number: number, after: current)
        verifier = Verifier(replacing: verifier.policy.with(try next.update.keys(), version: number), in: self)
        current = next
      } catch {
        var error = error
        // What was good up to here counts: the next poll goes on from there.
        if current != trust { return current }
        if let fork = try await forkedAt(state, before: number, trust) { error = Self.forked(at: fork, error) }
        throw error
      }
    }
    return current == trust ? nil : current
  }

  /// This verifier, or one with the trust updates that the state needs: for a single poll without a store. Where there
  /// is one, ``Reconciler`` keeps what was taken over.
  ///
  /// - Throws: ``VerificationError`` with `trust-missing` or `trust-invalid`; ``BackendError``; `CancellationError`.
  package func following(_ state: FetchedState) async throws -> Verifier {
    guard let trust = try await newerTrust(of: state, than: nil) else { return self }
    return Verifier(replacing: try policy.following(trust), in: self)
  }

  /// Whether the manifest needs a newer update than the policy has.
  func checkTrust(_ manifest: StateManifest) throws(VerificationError) {
    guard policy.requiresSignatures, let needed = manifest.trust, needed > policy.trustVersion else { return }
    throw Self.missing(policy.trustVersion + 1, needed)
  }

  private static func missing(_ number: UInt64, _ needed: UInt64?) -> VerificationError {
    VerificationError(
      .trustMissing,
      "the manifest needs trust update \(needed ?? number), and update \(number) is not at the source "
        + "(\(DropLayout.trustUpdate(number))); publish every update there, or wait until it is copied")
  }

  private static func neededTrust(in manifest: [UInt8]) -> UInt64? {
    // Only bytes that mention it are read before their signature is weighed; and by a reader whose memory is bounded.
    guard var reader = try? JSONReader(manifest) else { return nil }
    var needed: UInt64?
    try? reader.object { reader, key throws(JSONReader.Failure) in
      guard key == "x-desired-state-extensions", try !reader.isNull() else { return try reader.skip() }
      try reader.object { reader, key throws(JSONReader.Failure) in
        guard key == "trust", try !reader.isNull() else { return try reader.skip() }
        needed = try reader.unsignedInteger()
      }
    }
    return needed
  }

  // MARK: - One update

  private func verify(
    _ file: TrustUpdateFile, number: UInt64, after before: TrustState?
  ) throws(VerificationError) -> TrustState {
    do throws(VerificationError) {
      let update = try TrustUpdate(parsing: file.update)
      guard update.version == number else {
        throw VerificationError(.trustInvalid, "says that it is number \(update.version)")
      }
      guard !file.signatures.isEmpty else {
        throw VerificationError(.trustMissing, "has no signature yet (\(DropLayout.trustSignatures(number)))")
      }
      let old = try trustSigners(of: file, "the trust before it, number \(number - 1),")
      let own = try Verifier(replacing: policy.with(try update.keys(), version: number), in: self)
        .trustSigners(of: file, "its own keys")
      let signers = old + own.filter { signer in !old.contains { $0.key == signer.key } }
      return TrustState(update, digest: .of(file.update), after: before, signers: signers, at: time)
    } catch {
      throw VerificationError(error.code, "trust update \(number) \(error.reason)", evidence: error.evidence)
    }
  }

  /// Those who signed an update, if they are enough under this verifier's policy.
  private func trustSigners(of file: TrustUpdateFile, _ whose: String) throws(VerificationError) -> [Signer] {
    let signers: [Signer]
    do throws(VerificationError) {
      signers = try self.signers(
        of: file.update, signatures: [file.signatures], namespace: TrustUpdate.namespace, named: true)
    } catch {
      throw VerificationError(
        .trustInvalid, "is not signed by \(whose) in the namespace \(TrustUpdate.namespace): \(error.reason)",
        evidence: error.evidence)
    }
    guard signers.count >= policy.trustThreshold else {
      throw VerificationError(
        .trustInvalid,
        "is signed by \(signers.count) of the \(policy.trustThreshold) keys that \(whose) asks for",
        evidence: signers.map(\.description))
    }
    return signers
  }

  /// The first number at which the source of a refused state shows another trust update than the device follows; nil if
  /// there is none, or the state needs no update.
  func fork(of state: FetchedState, from trust: TrustState) async throws -> UInt64? {
    let needed = state.isSynthesised ? trust.version : Self.neededTrust(in: state.manifest) ?? 0
    return try await forkedAt(state, before: min(needed, trust.version) + 1, trust)
  }

  /// The refusal of a state whose source forks the chain there.
  static func forked(at number: UInt64, _ error: VerificationError) -> VerificationError {
    var forked = VerificationError(
      .trustInvalid,
      "the source's trust update \(number) is another one than this device follows; the chain forks there "
        + "(\(error.reason))", evidence: error.evidence)
    forked.version = error.version
    return forked
  }

  /// The first remembered number at which the source has another update than this device, if it has one.
  private func forkedAt(_ state: FetchedState, before number: UInt64, _ trust: TrustState?) async throws -> UInt64? {
    guard let trust else { return nil }
    var fork: UInt64?
    var earlier = number - 1
    while earlier > 0, let digest = trust.digest(of: earlier) {
      guard let file = try await state.trustUpdate(earlier, limits: limits), Digest.of(file.update) != digest else {
        break
      }
      fork = earlier
      earlier -= 1
    }
    return fork
  }
}
