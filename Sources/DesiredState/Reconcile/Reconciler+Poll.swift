import DesiredStateSupport
import FoundationEssentials

/// One look at the sources: fetch, verify, adopt, and say what came of it.
extension Reconciler {
  /// Looks at the sources in order; the first that is reached and has a state this device can be on decides. The
  /// others' troubles are reported, and count only if none does.
  func look(isDamaged: Bool) async throws -> Outcome {
    var outcome: Outcome?
    try await noteRevokedSigners()
    for source in sources {
      let result = try await look(at: source, isDamaged: isDamaged)
      if case .current = result { return result }
      outcome = outcome.map { $0.isWorthTellingMore(than: result) ? $0 : result } ?? result
    }
    return outcome ?? .unavailable(BackendError(.unreachable, "no source is configured"))
  }

  /// Looks at a source, unless it asked not to be looked at yet: then what it said before stands.
  private func look(at source: any DesiredStateBackend, isDamaged: Bool) async throws -> Outcome {
    if let outcome = patience.value(of: source.source, at: configuration.now()) { return outcome }
    var retryAfter: Duration?
    let outcome = try await look(at: source, isDamaged: isDamaged, retryAfter: &retryAfter)
    patience.note(outcome, of: source.source, for: retryAfter, at: configuration.now())
    return outcome
  }

  private func look(
    at source: any DesiredStateBackend, isDamaged: Bool, retryAfter: inout Duration?
  ) async throws -> Outcome {
    let adopted = await store.adopted
    // A new policy is a reason to verify again, and a damaged store to fetch again, what is otherwise unchanged.
    let policy = try await policy()
    let isSettled = !isDamaged && adopted?.policy == policy.fingerprint
    let markers = await store.record.markers
    let verifier = await verifier(policy)
    let request = FetchRequest(
      current: isSettled ? adopted?.revision : nil, marker: markers[source.source],
      adoptedMarker: adopted.flatMap { $0.source == source.source ? nil : markers[$0.source] },
      held: store.heldDocuments, limits: configuration.limits, timeout: configuration.timeout,
      verifier: verifier)
    var revision: Revision?
    var origin: Origin?
    do {
      let result = try await ask(source) { try await source.fetch(request) }
      retryAfter = result.retryAfter
      try await store.noteContact(with: source.source, at: configuration.now(), absence: result.absence)
      switch result.outcome {
      case .absent(let absence):
        emit(.absent(absence), source.source)
        return .absent(absence)
      case .unchanged:
        guard isSettled, let adopted else {
          throw BackendError(.protocolViolation, "the source says 'unchanged' to a device that asked for everything")
        }
        revision = adopted.revision
        if let expires = adopted.expires { try verifier.checkExpiry(expires) }
        if let issued = adopted.issued { try verifier.checkAge(issued) }
        try await settle(source, marker: result.marker)
        emit(.unchanged, source.source, adopted.revision, adopted.version, adopted.origin)
        return .current
      case .changed(let state):
        revision = state.revision
        origin = state.origin
        emit(.fetched, source.source, state.revision, nil, state.origin)
        try await adopt(state, from: source, marker: result.marker, isSettled: isSettled, verifier: verifier)
        return .current
      }
    } catch let error as VerificationError {
      try await store.noteContact(with: source.source, at: configuration.now())
      return try await reject(error, revision, origin, from: source)
    } catch let error as BackendError {
      // A source that stays away says so once; the rest is for whoever looks closely.
      let isNews = await store.health.sources[source.source]?.lastError?.code != error.code
      configuration.logger.log(
        level: isNews ? .warning : .debug, "\(source.source) is unavailable: \(error)")
      try await store.noteContact(with: source.source, at: configuration.now(), failure: error)
      retryAfter = error.retryAfter
      emit(.unavailable(error), source.source)
      return .unavailable(error)
    }
  }

  /// Asks a backend for something, for as long as the timeout allows.
  private func ask<Value: Sendable>(
    _ source: any DesiredStateBackend, _ question: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    do {
      return try await withTimeout(configuration.timeout, clock: configuration.clock, question)
    } catch {
      throw BackendError.contractual(error, of: source.source)
    }
  }

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

  /// A signer of the adopted state whose key is revoked is said at once, also offline. The state stays: without another
  /// one to run in its place, taking it away would only stop the device.
  private func noteRevokedSigners() async throws {
    guard let adopted = await store.adopted else { return }
    let revoked = try await policy().revokedOnes(of: adopted.signers)
    let before = await store.record.revokedSigners ?? []
    guard revoked != before else { return }
    try await store.markRevoked(revoked)
    guard !revoked.isEmpty else { return }
    configuration.logger.warning(
      "the adopted state is signed by keys that are revoked: \(revoked.map(\.description).joined(separator: ", "))")
  }

  private func verifier(_ policy: TrustPolicy) async -> Verifier {
    let record = await store.record
    return Verifier(
      policy: policy, device: configuration.device, floor: record.floor,
      requiresSuccessor: record.adopted?.hasHistory ?? false,
      followsDrop: record.adopted.map { $0.version != nil && !$0.signers.isEmpty } ?? false, now: configuration.now(),
      newestSigned: record.newestSigned, limits: configuration.limits)
  }

  /// The source offers what is adopted: nothing is refused any more, and its marker is kept for the next look.
  private func settle(_ source: any DesiredStateBackend, marker: String?) async throws {
    try await store.settle(source.source, marker: marker)
  }

  private func adopt(
    _ state: FetchedState, from source: any DesiredStateBackend, marker: String?, isSettled: Bool,
    verifier: Verifier
  ) async throws {
    let (verifier, isSettled) = try await followTrust(of: state, from: source, verifier, isSettled: isSettled)
    let verified = try await ask(source) { try await source.verify(state, with: verifier) }
    if isSettled, verified.revision == (await store.adopted)?.revision {
      // The same state with new evidence (another commit): only the marker moves.
      try await settle(source, marker: marker)
      return emit(.unchanged, source.source, verified.revision, verified.manifest.version, verified.origin)
    }
    emit(.verified, source.source, verified.revision, verified.manifest.version, verified.origin)
    do {
      try await checkNotSpoiled(verified, from: source.source)
      try await watchingForStalls { [store, configuration] progress in
        let now = configuration.now()
        try await store.adopt(
          verified, source: source.source, marker: marker, policy: verifier.policy, at: now,
          limits: configuration.limits, progress: progress,
          acknowledging: [
            Acknowledgement(
              device: configuration.device, revision: verified.revision,
              adoptedManifestVersion: verified.manifest.version, origin: verified.origin, time: now, outcome: .adopted)
          ])
      }
    } catch let error as VerificationError {
      var error = error
      error.version = verified.manifest.version
      if let document = error.document { error.fingerprint = await verified.fingerprint(of: document) }
      throw error
    }
    emit(.adopted, source.source, verified.revision, verified.manifest.version, verified.origin)
  }

  /// Takes over the trust updates that a state needs, and makes them durable before the state is weighed.
  private func followTrust(
    of state: FetchedState, from source: any DesiredStateBackend, _ verifier: Verifier, isSettled: Bool
  ) async throws -> (Verifier, isSettled: Bool) {
    let trust = await store.trust
    let newer = try await ask(source) { try await verifier.newerTrust(of: state, than: trust) }
    guard let newer else { return (verifier, isSettled) }
    try await store.follow(newer)
    configuration.logger.notice("following trust update \(newer.version) from \(source.source)")
    return (Verifier(replacing: try await policy(), in: verifier), false)
  }

  /// Runs an adoption, and gives it up when its source delivers nothing for longer than the timeout.
  private func watchingForStalls(_ adoption: @escaping @Sendable (ReadingProgress) async throws -> Void) async throws {
    let progress = ReadingProgress()
    let work = BlockingThread.task("desired-state.adopt") { try await adoption(progress) }
    let answer = Promise<Void>()
    Task { answer.give(await work.result) }
    let watchdog = Task { [configuration] in
      var last = -1
      while progress.count != last {
        last = progress.count
        try await configuration.clock.sleep(for: configuration.timeout, tolerance: nil)
        if progress.isFinished { return }
      }
      answer.give(
        .failure(
          BackendError(.timeout, "the source delivered nothing of a document within \(configuration.timeout)")))
    }
    defer {
      watchdog.cancel()
      // A read that is stuck in the kernel is not waited for; when it returns, the adoption sees that it is cancelled.
      work.cancel()
    }
    try await answer.value()
  }

  // MARK: - Refusals

  /// A document whose bytes were wrong is not read again as long as its source shows no sign that they changed.
  private func checkNotSpoiled(_ state: VerifiedState, from source: String) async throws {
    guard let refused = await store.record.refusals[source], refused.revision == state.revision, let spoiled = refused.spoiled,
      let document = state.manifest.documents.first(where: { $0.digest == spoiled.digest }),
      await state.fingerprint(of: document) == spoiled.fingerprint
    else { return }
    var error = VerificationError(refused.code, refused.reason, evidence: refused.evidence)
    error.document = document
    throw error
  }

  private func reject(
    _ error: VerificationError, _ revision: Revision?, _ origin: Origin?, from source: any DesiredStateBackend
  ) async throws -> Outcome {
    let before = await store.record.refusals[source.source]
    var refused = RefusedState(
      revision: revision, version: error.version, code: error.code, reason: error.reason, evidence: error.evidence,
      source: source.source, origin: origin, at: configuration.now())
    if let document = error.document, let fingerprint = error.fingerprint {
      refused.spoiled = .init(digest: document.digest, fingerprint: fingerprint)
    }
    if let before, before.tellsTheSame(as: refused) { refused.at = before.at }
    if before == nil || refused != before {
      configuration.logger.warning("refused \(revision?.description ?? "a state") from \(source.source): \(error)")
      let adopted = await store.adopted
      try await store.refuse(
        refused,
        acknowledging: [
          Acknowledgement(
            device: configuration.device, revision: adopted?.revision, adoptedManifestVersion: adopted?.version,
            origin: adopted?.origin, time: configuration.now(),
            outcome: .rejected(
              .init(revision: revision, version: error.version, code: error.code, reason: error.reason, origin: origin)))
        ])
    }
    emit(.rejected(error), source.source, revision, error.version, origin)
    return .rejected(error)
  }
}

extension Reconciler.Outcome {
  /// What an operator should hear of first when no source had a state to be on: a refusal, then an absence, then
  /// trouble on the way.
  fileprivate func isWorthTellingMore(than other: Reconciler.Outcome) -> Bool { rank >= other.rank }

  private var rank: Int {
    switch self {
    case .current, .applyFailed: 3
    case .rejected: 2
    case .absent: 1
    case .unavailable: 0
    }
  }
}
