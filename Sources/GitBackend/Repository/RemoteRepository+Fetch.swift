import DesiredState
import DesiredStateSupport

extension RemoteRepository {
  func objects(
    of target: ObjectID, after adopted: ObjectID?, gate: CommitGate?, limits: Limits
  ) async throws -> AsyncObjectStore {
    try await waitForDownload()
    let cache = try await openCache()
    if try await tip(target, in: cache) == nil {
      // The policy, or the time, may be another one by now.
      if let gate, let refused = state.withLock({ $0.refused }), refused.target == target,
        refused.reference == gate.reference
      {
        try gate.weigh(refused.signatures)
      }
      if try await isFetchedInParts(cache) {
        try await fetchTrees(of: target, after: adopted, gate: gate, into: cache, limits)
      } else {
        try await fetchWhole(target, after: adopted, gate: gate, into: cache, limits)
      }
    }
    return cache.objects
  }

  func complete(_ target: ObjectID, limits: Limits) async throws {
    guard let path = part else { return }
    let cache = try await openCache()
    guard try await tip(target, in: cache) == nil else { return }
    let missing = try await write(cache) { try cache.store.missingFiles(of: target, at: path, limits: limits) }
    do {
      try await fetchFiles(missing, of: target, into: cache, limits)
    } catch let error as BackendError where error.underlying is MissingObject {
      // It leaves files out and does not send them one by one.
      state.withLock { $0.refusesParts = true }
      return try await fetchWhole(target, gate: nil, into: cache, limits)
    }
    let isComplete = try await write(cache) {
      guard missing.allSatisfy(cache.store.holds) else { return false }
      try cache.note(target)
      return true
    }
    guard isComplete else {
      throw BackendError(.protocolViolation, "\(source): a pack came without all the files that were asked for")
    }
  }

  /// The commit that a target leads to, if all that is needed of it is in the cache.
  func tip(_ target: ObjectID, in cache: ObjectCache) async throws -> ObjectID? {
    try await write(cache) {
      guard cache.store.holds(target) else { return nil }
      let commit = try cache.store.peel(target).commit.id
      return cache.tips.contains(commit) ? commit : nil
    }
  }

  /// Whether trees come first and files in smaller steps, each of which is kept: where that is a lot, and the server can.
  ///
  /// The changes since the adopted commit is mostly little, and comes cheaper as one pack that builds on it.
  private func isFetchedInParts(_ cache: ObjectCache) async throws -> Bool {
    guard let part, !state.withLock({ $0.refusesParts }) else { return false }
    let isLarge = try await write(cache) { !part.isEmpty || cache.tips.isEmpty || cache.step != nil }
    guard isLarge else { return false }
    if let known = state.withLock({ $0.sendsParts }) { return known }
    return try await withSession(with: .uploadPack) { [self] in try await advertisement(.uploadPack, in: $0).sendsParts
    }
  }

  // MARK: - As a whole

  /// Fetches a target, without its history, beyond the cache.
  func fetchWhole(
    _ target: ObjectID, after adopted: ObjectID? = nil, gate: CommitGate?, into cache: ObjectCache, _ limits: Limits
  ) async throws {
    // Files of the tips may be missing; then nothing can build on them.
    let isPartial = try await write(cache) { cache.isPartial }
    let held = isPartial ? [] : try await held(in: cache, adopted)
    let request = PackRequest(wanted: [target], held: held, boundary: held, depth: .generations(1))
    do {
      try await take(request, of: target, gate: gate, into: cache, PackLimiter.Bounds(limits), isWhole: true)
    } catch {
      if part != nil, error is CancellationError || (error as? BackendError)?.isRetryable == true {
        // In a task of its own: this one may be cancelled.
        Task { [writing] in try? await writing.run { try cache.note(step: Self.firstStep) } }
      }
      throw error
    }
  }

  /// The adopted commit, and the newest where it is another one: naming more would cost more than it saves.
  private func held(in cache: ObjectCache, _ adopted: ObjectID?) async throws -> [ObjectID] {
    try await write(cache) {
      cache.tips.enumerated().filter { $0.element == adopted || $0.offset == cache.tips.count - 1 }.map(\.element)
    }
  }

  // MARK: - In parts

  /// Fetches a commit with its trees, and what is signed at the path.
  private func fetchTrees(
    of target: ObjectID, after adopted: ObjectID?, gate: CommitGate?, into cache: ObjectCache, _ limits: Limits
  ) async throws {
    let path = part ?? ""
    if !path.isEmpty { try await write(cache) { try cache.becomePartial() } }
    if try await write(cache, { try !cache.store.holdsTrees(of: target) }) {
      let held = try await held(in: cache, adopted)
      let request = PackRequest(
        wanted: [target], held: held, boundary: held, depth: .generations(1), leavingOut: .files)
      try await take(request, of: target, gate: gate, into: cache, PackLimiter.Bounds(limits))
    }
    let evidence = try await write(cache) { try cache.store.missingEvidence(of: target, at: path, limits: limits) }
    do {
      try await fetchFiles(evidence, of: target, into: cache, limits)
    } catch let error as BackendError where error.underlying is MissingObject {
      state.withLock { $0.refusesParts = true }
      try await fetchWhole(target, gate: gate, into: cache, limits)
    }
  }

  /// How many files are asked for at once, at first and at most.
  private static let firstStep = 32
  private static let longestStep = 2048

  /// Fetches files in steps. Each is kept, so that what breaks off goes on from there.
  private func fetchFiles(
    _ files: [ObjectID], of target: ObjectID, into cache: ObjectCache, _ limits: Limits
  ) async throws {
    var bounds = PackLimiter.Bounds(limits)
    var rest = files[...]
    var count = try await write(cache) { cache.step ?? Self.firstStep }
    while !rest.isEmpty {
      // Noted beforehand, because the process may not live to see it break off.
      try await write(cache) { [count] in try cache.note(step: max(count / 4, 1)) }
      let begun = ContinuousClock.now
      let request = PackRequest(wanted: Array(rest.prefix(count)), depth: .everything)
      let size = try await take(request, of: target, gate: nil, into: cache, bounds)
      bounds.totalSize -= min(size, bounds.totalSize)
      rest = rest.dropFirst(count)
      // Short enough for a line that does not hold for long, and few enough on a good one.
      switch ContinuousClock.now - begun {
      case ..<Duration.seconds(2): count = min(4 * count, Self.longestStep)
      case Duration.seconds(8)...: count = max(count / 2, 1)
      default: break
      }
    }
  }

  // MARK: - Packs

  /// Takes a pack into the cache. It may outlast the poll, if the cache does.
  ///
  /// - Parameter isWhole: whether nothing of the target is missing then.
  /// - Returns: the bytes of the objects and deltas in it.
  @discardableResult
  private func take(
    _ request: PackRequest, of target: ObjectID, gate: CommitGate?, into cache: ObjectCache,
    _ bounds: PackLimiter.Bounds, isWhole: Bool = false
  ) async throws -> UInt64 {
    let download = Download()
    let size = LockedValue<UInt64>(0)
    let isPatient =
      part != nil && cacheParent != nil
      && state.withLock { state in
        guard state.download == nil else { return false }
        state.download = download
        return true
      }
    download.begin { [self] in
      defer { state.withLock { if $0.download === download { $0.download = nil } } }
      try await withSession(with: .uploadPack) { [self] session in
        let advertisement = try await advertisement(.uploadPack, in: session)
        let packets = try await session.ask(request.encoded(for: advertisement))
        var answer = try await PackAnswer(packets, to: request, of: advertisement) { download.note() }
        let intake = try await write(cache) { try PackIntake(into: cache, of: target, gate: gate, bounds) }
        try await withTaskCancellationHandler {
          do {
            while let piece = try await answer.next() {
              download.note(piece.count)
              try await write(cache) { try intake.take(piece) }
            }
          } catch {
            if let gate, let signatures = intake.refused {
              state.withLock { $0.refused = (target, gate.reference, signatures) }
            }
            throw error
          }
          try await packets.finish()
          try await write(cache) {
            try intake.finish()
            if isWhole { try cache.note(target) }
          }
          size.withLock { $0 = intake.size }
        } onCancel: {
          intake.cancel()
        }
      }
    }
    try await download.end(isPatient: isPatient)
    return size.withLock { $0 }
  }

  /// Waits for what an earlier poll began and this one will need.
  private func waitForDownload() async throws {
    while let download = state.withLock({ $0.download }) {
      try await download.isOver()
      state.withLock { if $0.download === download { $0.download = nil } }
    }
  }

  var unfinished: String? {
    guard let count = state.withLock({ $0.download })?.byteCount, count > 0 else { return nil }
    return "\(count / 1000) kB have come so far, the rest goes on coming, and a later poll takes it up"
  }

  func stop() { state.withLock { $0.download }?.cancel() }
}
