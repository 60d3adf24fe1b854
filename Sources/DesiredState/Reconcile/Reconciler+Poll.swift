import DesiredStateSupport
import FoundationEssentials

/// One poll of the sources: which are asked, and whose answer counts.
extension Reconciler {
  /// A verified state that may be adopted.
  struct Candidate: Sendable {
    var source: any DesiredStateBackend
    var state: VerifiedState
    var marker: String?
    /// What it was weighed by.
    var policy: TrustPolicy
  }

  /// What came of asking a source.
  enum Finding: Sendable {
    /// It is said and done.
    case settled(Outcome)
    /// It offers a state that this device could be on.
    case candidate(Candidate)
  }

  /// Looks at the sources, and adopts what they publish.
  func poll() async throws -> Outcome {
    let isAskedFor = state.withLock { state in
      defer { (state.isLookAskedFor, state.isCheckDue) = (false, true) }
      return state.isLookAskedFor
    }
    try await noteRevokedSigners()
    let trust = await store.trust?.version
    if let end = configuration.schedule.restsUntil(configuration.now()) { return .resting(until: end) }
    let start = stopwatch.elapsed
    reportClock()
    await store.collectGarbageIfDue()
    let outcome =
      switch configuration.preference {
      case .first: try await pollInOrder(isAskedFor)
      case .newest: try await pollForNewest(isAskedFor)
      }
    // A trust update that came, and no state that others sign.
    if await store.trust?.version != trust { try await noteRevokedSigners() }
    let end = stopwatch.elapsed
    metrics.polled(outcome, for: end - start)
    let confirmed = state.withLock { state in
      if case .current = outcome { state.lastConfirmed = end }
      return state.lastConfirmed
    }
    metrics.confirmed(ago: end - confirmed)
    return outcome
  }

  /// The first source that is reached and has a state this device can be on decides. The others' troubles are reported,
  /// and count only if none does.
  private func pollInOrder(_ isAskedFor: Bool) async throws -> Outcome {
    var outcome: Outcome?
    for source in sources {
      let result = try await ask(source, isAskedFor) { finding in
        switch finding {
        case .settled(let outcome): outcome
        case .candidate(let candidate): try await adopt(candidate)
        }
      }
      if case .current = result { return result }
      outcome = outcome.map { $0.isWorthTellingMore(than: result) ? $0 : result } ?? result
    }
    return outcome ?? .noSource
  }

  /// Every source is asked; of what they offer, the highest version counts.
  private func pollForNewest(_ isAskedFor: Bool) async throws -> Outcome {
    var outcome: Outcome?
    func consider(_ result: Outcome) {
      outcome = outcome.map { $0.isWorthTellingMore(than: result) ? $0 : result } ?? result
    }
    var candidates: [Candidate] = []
    for source in sources {
      let result = try await ask(source, isAskedFor) { finding in
        switch finding {
        case .settled(let outcome): return outcome
        case .candidate(let candidate):
          candidates.append(candidate)
          return .current
        }
      }
      // A source that offers a state has not said yet how this ends.
      if candidates.last?.source.source != source.source { consider(result) }
    }
    // Sorting keeps the order of preference among equals. A state without a version comes after all that have one.
    let sorted = candidates.enumerated().sorted {
      ($1.element.state.manifest.version ?? 0, $0.offset) < ($0.element.state.manifest.version ?? 0, $1.offset)
    }
    for (_, candidate) in sorted {
      // A mirror that offers the same, or is behind what was adopted a moment ago, has nothing to add.
      if let offered = await store.offered, offered.revision == candidate.state.revision {
        try await store.settle(candidate.source.source, marker: candidate.marker)
        consider(.current)
        continue
      }
      if case .current? = outcome, let floor = await store.floor?.version,
        candidate.state.manifest.version.map({ $0 < floor }) ?? true
      {
        continue
      }
      let result = try await adopt(candidate)
      note(result, of: candidate.source.source, nil)
      consider(result)
    }
    return outcome ?? .noSource
  }

  /// Asks a source, unless it is to be left alone: then what it said before stands.
  private func ask(
    _ source: any DesiredStateBackend, _ isAskedFor: Bool, then conclude: (Finding) async throws -> Outcome
  ) async throws -> Outcome {
    if let outcome = await standing(of: source.source, isAskedFor: isAskedFor) { return outcome }
    await recallFailures(of: source.source)
    var retryAfter: Duration?
    let outcome = try await conclude(try await poll(source, isAskedFor, retryAfter: &retryAfter))
    note(outcome, of: source.source, retryAfter)
    try await rememberBackoff(with: source.source, outcome, retryAfter)
    return outcome
  }

  // MARK: - One source

  private func poll(
    _ source: any DesiredStateBackend, _ isAskedFor: Bool, retryAfter: inout Duration?
  ) async throws -> Finding {
    let policy: TrustPolicy
    do {
      policy = try await self.policy()
    } catch {
      return .settled(try await conclude(error, nil, nil, from: source))
    }
    let request = await request(to: source, policy)
    guard let verifier = request.verifier else { preconditionFailure("a request of the loop has a verifier") }
    var revision: Revision?
    var origin: Origin?
    do {
      let result = try await fetch(from: source, request, verifier.policy, isAskedFor)
      retryAfter = result.retryAfter
      try await store.noteContact(with: source.source, at: configuration.now(), absence: result.absence)
      try await noteCredentials(of: source.source, until: result.credentialsExpire)
      switch result.outcome {
      case .absent(let absence):
        emit(.absent(absence), source.source)
        return .settled(.absent(absence))
      case .unchanged:
        guard request.current != nil, let offered = await store.offered else {
          throw BackendError(.protocolViolation, "the source says 'unchanged' to a device that asked for everything")
        }
        revision = offered.revision
        origin = offered.origin
        if let expires = offered.expires { try verifier.checkExpiry(expires) }
        if let issued = offered.issued { try verifier.checkAge(issued) }
        try await settle(source, marker: result.marker)
        emit(.unchanged, source.source, offered.revision, offered.version, offered.origin)
        return .settled(.current)
      case .changed(let fetched):
        revision = fetched.revision
        origin = fetched.origin
        let newer = try await followTrust(of: fetched, from: source, verifier)
        let verifier = newer ?? verifier
        let verified = try await verify(fetched, from: source, by: verifier)
        if newer == nil, request.current != nil, let offered = await store.offered,
          verified.revision == offered.revision
        {
          // The same state with new evidence (another commit): only the marker moves.
          try await settle(source, marker: result.marker)
          emit(.unchanged, source.source, verified.revision, verified.manifest.version, verified.origin)
          return .settled(.current)
        }
        emit(.verified, source.source, verified.revision, verified.manifest.version, verified.origin)
        return .candidate(Candidate(source: source, state: verified, marker: result.marker, policy: verifier.policy))
      }
    } catch {
      if let error = error as? BackendError {
        let before = self.state.withLock { $0.sources[source.source]?.attempts.failures ?? 0 }
        retryAfter = error.wait(afterFailures: before + 1, growingTo: configuration.schedule.longestBackoff)
      }
      return .settled(try await conclude(error, revision, origin, from: source))
    }
  }

  /// Fetches, unless the source says that it still offers what was refused a moment ago: that is at hand.
  private func fetch(
    from source: any DesiredStateBackend, _ request: FetchRequest, _ policy: TrustPolicy, _ isAskedFor: Bool
  ) async throws -> FetchResult {
    if let offer = refusedOffer(of: source.source, by: policy, isAskedFor: isAskedFor) {
      var question = request
      (question.current, question.marker, question.adoptedMarker) = (offer.state.revision, offer.marker, nil)
      let answer = try await ask(source) { [question] in try await source.fetch(question) }
      switch answer.outcome {
      case .unchanged:
        return FetchResult(
          .changed(offer.state), marker: offer.marker, retryAfter: answer.retryAfter,
          credentialsExpire: answer.credentialsExpire)
      case .absent: return answer
      // Something else: what it follows on is what the device has, and not what was refused.
      case .changed: break
      }
    }
    let result = try await ask(source) { try await source.fetch(request) }
    if case .changed(let fetched) = result.outcome {
      metrics.fetched(manifestBytes: fetched.manifest.count)
      noteOffer(fetched, marker: result.marker, of: source.source, policy: policy)
      emit(.fetched, source.source, fetched.revision, nil, fetched.origin)
    }
    return result
  }

  /// The source offers the state that the device is on.
  private func settle(_ source: any DesiredStateBackend, marker: String?) async throws {
    forgetOffer(of: source.source)
    try await store.settle(source.source, marker: marker)
  }

  private func request(to source: any DesiredStateBackend, _ policy: TrustPolicy) async -> FetchRequest {
    let offered = await store.offered
    let record = await store.record
    let isDamaged = state.withLock { $0.isDamaged }
    // A new policy is a reason to verify again, and a damaged store to fetch again, an otherwise unchanged state.
    let isSettled = !isDamaged && offered?.policy == policy.fingerprint
    return FetchRequest(
      current: isSettled ? offered?.revision : nil, marker: record.markers[source.source],
      adoptedMarker: offered.flatMap { $0.source == source.source ? nil : record.markers[$0.source] },
      held: store.heldDocuments, limits: configuration.limits, timeout: configuration.timeout,
      verifier: Verifier(
        policy: policy, device: configuration.device, floor: record.floor,
        requiresSuccessor: offered?.hasHistory ?? false,
        followsDrop: offered.map { $0.version != nil && !$0.signers.isEmpty } ?? false, now: configuration.now(),
        newestSigned: record.newestSigned, limits: configuration.limits))
  }

  /// Asks a backend for something, for as long as the timeout allows.
  func ask<Value: Sendable>(
    _ source: any DesiredStateBackend, _ question: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    do {
      return try await withTimeout(configuration.timeout, clock: configuration.clock, question)
    } catch {
      throw BackendError.contractual(error, of: source.source)
    }
  }
}

extension Reconciler.Outcome {
  static var noSource: Self { .unavailable(BackendError(.unreachable, "no source is configured")) }

  /// What an operator should hear of first when no source had a state to be on: a refusal, then an absence, then
  /// trouble on the way.
  func isWorthTellingMore(than other: Reconciler.Outcome) -> Bool { rank >= other.rank }

  private var rank: Int {
    switch self {
    case .current, .applyFailed, .held: 3
    case .rejected: 2
    case .absent: 1
    case .unavailable, .resting: 0
    }
  }
}
