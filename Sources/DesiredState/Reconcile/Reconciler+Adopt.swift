import DesiredStateSupport
import FoundationEssentials

/// From a verified state to the adopted one, or to a refusal.
extension Reconciler {
  /// Makes a state durable, and the adopted one.
  func adopt(_ candidate: Candidate) async throws -> Outcome {
    let (source, state) = (candidate.source, candidate.state)
    do {
      try await makeDurable(candidate)
    } catch {
      return try await conclude(error, state.revision, state.origin, from: source)
    }
    self.state.withLock { $0.isDamaged = false }
    forgetOffer(of: source.source)
    emit(.adopted, source.source, state.revision, state.manifest.version, state.origin)
    log(.notice, "adopted", source.source, state.revision, state.manifest.version)
    if let issued = state.manifest.issued {
      metrics.adopted(after: .seconds(configuration.now().timeIntervalSince(issued)))
    }
    supersede(by: state.revision)
    return .current
  }

  private func makeDurable(_ candidate: Candidate) async throws {
    let (source, state) = (candidate.source, candidate.state)
    do {
      try await checkNotSpoiled(state, source)
      let now = configuration.now()
      let acknowledgement = Acknowledgement(
        device: configuration.device, revision: state.revision, adoptedManifestVersion: state.manifest.version,
        origin: state.origin, time: now, outcome: .adopted)
      try await watchingForStalls { [store, configuration] progress in
        try await store.adopt(
          state, source: source.source, marker: candidate.marker, policy: candidate.policy, at: now,
          limits: configuration.limits, progress: progress, acknowledging: [acknowledgement])
      }
    } catch let error as VerificationError {
      var error = error
      error.version = state.manifest.version
      if !error.isRepeated, let document = error.document {
        error.fingerprint = await state.fingerprint(of: document)
      }
      throw error
    }
  }

  /// Runs an adoption, and gives it up when its source delivers nothing for longer than the timeout.
  private func watchingForStalls(_ adoption: @escaping @Sendable (ReadingProgress) async throws -> Void) async throws {
    let progress = ReadingProgress(configuration.watchReading)
    defer { metrics.fetched(documentBytes: progress.bytes) }
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

  // MARK: - What went wrong

  /// Says what an error means for the poll. Trouble with this device's own disk is none of a source, and thrown on.
  func conclude(
    _ error: any Error, _ revision: Revision?, _ origin: Origin?, from source: any DesiredStateBackend
  ) async throws -> Outcome {
    switch error {
    case let error as VerificationError:
      try await store.noteContact(with: source.source, at: configuration.now())
      return try await reject(error, revision, origin, from: source)
    case let error as BackendError:
      try await store.noteContact(with: source.source, at: configuration.now(), failure: error)
      emit(.unavailable(error), source.source)
      return .unavailable(error)
    default: throw error
    }
  }

  /// A document whose bytes were wrong is not read again for a while, as long as its source shows no sign that they
  /// changed.
  private func checkNotSpoiled(_ state: VerifiedState, _ source: any DesiredStateBackend) async throws {
    guard let refused = await store.record.refusals[source.source], refused.revision == state.revision,
      let spoiled = refused.spoiled,
      let document = state.manifest.documents.first(where: { $0.digest == spoiled.digest }),
      (0..<spoiled.pause(size: document.advisorySize)).contains(
        configuration.now().timeIntervalSince(spoiled.readAt)),
      await state.fingerprint(of: document) == spoiled.fingerprint
    else { return }
    var error = VerificationError(refused.code, refused.reason, evidence: refused.evidence)
    error.document = document
    error.isRepeated = true
    throw error
  }

  private func reject(
    _ error: VerificationError, _ revision: Revision?, _ origin: Origin?, from source: any DesiredStateBackend
  ) async throws -> Outcome {
    let before = await store.record.refusals[source.source]
    var refused = RefusedState(
      revision: revision, version: error.version, code: error.code, reason: error.reason, evidence: error.evidence,
      source: source.source, origin: origin, at: configuration.now())
    if error.isRepeated {
      refused.spoiled = before?.spoiled
    } else if let document = error.document, let fingerprint = error.fingerprint {
      let known = before?.spoiled.flatMap { $0.digest == document.digest ? $0.readings : nil } ?? 0
      refused.spoiled = .init(
        digest: document.digest, fingerprint: fingerprint, readAt: configuration.now(), readings: known + 1)
    }
    let isKnown = before.map { refused.tellsTheSame(as: $0) } ?? false
    if let before, isKnown {
      // The same again: since when it is so, and in which words it was said, stays. No write for nothing.
      refused.at = before.at
      (refused.reason, refused.evidence, refused.origin) = (before.reason, before.evidence, before.origin)
    }
    if !isKnown { metrics.refused(error.code) }
    if refused != before {
      let rejection = Acknowledgement.OtherState(
        revision: revision, version: error.version, code: error.code.rawValue, reason: error.reason, origin: origin)
      let told = acknowledgement(.rejected(rejection), of: await store.adopted)
      try await store.refuse(refused, acknowledging: isKnown ? [] : [told])
    }
    emit(.rejected(error), source.source, revision, error.version, origin)
    return .rejected(error)
  }

  /// An acknowledgement about a state this device is on.
  func acknowledgement(_ outcome: Acknowledgement.Outcome, of state: AdoptedState?) -> Acknowledgement {
    Acknowledgement(
      device: configuration.device, revision: state?.revision, adoptedManifestVersion: state?.version,
      origin: state?.origin, time: configuration.now(), outcome: outcome)
  }
}
