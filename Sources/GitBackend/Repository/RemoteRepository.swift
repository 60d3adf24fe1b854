import DesiredState
import DesiredStateSupport
import Synchronization

/// A repository at the other end of a road: asked cheaply what changed, and fetched from into a cache when something did.
///
/// One protocol client serves every road; libgit2 does what is local. It is entered only when there is something new.
final class RemoteRepository: GitRepository {
  let road: any GitTransport
  let source: String
  private let cacheParent: String?
  private let cacheName: String
  /// Writes to the cache, on one thread; documents are read on another.
  let writing = Worker("desired-state.git.write")
  private let reading = Worker("desired-state.git.read")
  private let state = Mutex(State())

  private struct State {
    /// What the server said of itself, where it need not be asked again.
    var advertisement: Advertisement?
    var cache: ObjectCache?
    /// How many generations of a target's history were fetched.
    var deepened: [ObjectID: Int] = [:]
  }

  /// - Parameters:
  ///   - cacheParent: the directory in which this repository has a cache; nil for a temporary one.
  ///   - purpose: keeps two caches of one repository apart.
  init(_ road: any GitTransport, source: String, cacheParent: String?, purpose: String) {
    self.road = road
    self.source = source
    self.cacheParent = cacheParent
    cacheName = "git-" + Digest.of("\(purpose) \(source)".utf8).hexadecimal.prefix(16)
  }

  var channel: String? { road.channel }

  // MARK: - References

  func target(of references: [String]) async throws -> ObjectID? {
    try await converse(with: .uploadPack) { [self] talk in
      let advertisement = try await advertisement(in: talk, keeping: references)
      guard advertisement.isVersion2 else { return references.lazy.compactMap { advertisement.references[$0] }.first }
      return try await ReferenceList.ask(talk, for: references)
    }
  }

  /// Talks; a failure may mean that the server is another one by now, so what it said of itself is forgotten.
  func converse<Value: Sendable>(
    with service: GitService, _ talk: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value {
    do {
      return try await road.converse(with: service, talk)
    } catch {
      state.withLock { $0.advertisement = nil }
      throw error
    }
  }

  private func advertisement(
    in talk: any GitSession, keeping names: [String] = []
  ) async throws -> Advertisement {
    if road.isStateless, let known = state.withLock({ $0.advertisement }) { return known }
    let packets = try await talk.advertisement()
    let advertisement = try await Advertisement.read(packets, keeping: names)
    try await packets.finish()
    // Before protocol 2 it is the list of references, which is wanted anew each time.
    if road.isStateless, advertisement.isVersion2 { state.withLock { $0.advertisement = advertisement } }
    return advertisement
  }

  // MARK: - Objects

  func objects(of target: ObjectID, history: HistoryDepth, limits: Limits) async throws -> AsyncObjectStore {
    let cache = try await openCache()
    let tip = try await tip(target, in: cache)
    let adopted = history.adopted?.commit
    switch history {
    case .nothing:
      if tip == nil { try await fetch(target, .generations(1), into: cache, limits) }
    case .since(let marker):
      if tip == nil {
        do {
          try await fetch(target, .since(marker.time), after: adopted, into: cache, limits)
        } catch let error as BackendError
          where [.serverError, .protocolViolation, .unreachable].contains(error.code)
          && !(error.underlying is LibGit2Error)
        {
          // If nothing is newer (the clock of whoever committed is behind, or the branch was set back), git's server ends
          // without an answer.
          try await fetch(target, .generations(1), after: adopted, into: cache, limits)
        }
      }
    case .generations(_, let count):
      // Once: if the adopted commit is not found then, it will not be found at the next look.
      if state.withLock({ $0.deepened[target] ?? 0 }) < count {
        try await fetch(target, .generations(count), after: adopted, into: cache, limits)
        state.withLock { $0.deepened[target] = count }
      }
    }
    if tip == nil {
      try await tidy(
        cache, keeping: [adopted, try await self.tip(target, in: cache)].compactMap { $0 })
    }
    return cache.objects
  }

  /// The commit that a target leads to, if all of it is in the cache.
  private func tip(_ target: ObjectID, in cache: ObjectCache) async throws -> ObjectID? {
    try await write(cache) {
      guard cache.store.holds(target) else { return nil }
      let commit = try cache.store.peel(target).commit.id
      return cache.tips.contains(commit) ? commit : nil
    }
  }

  /// Fetches a target, with so much of its history, beyond what the cache has.
  private func fetch(
    _ target: ObjectID, _ depth: PackRequest.Depth, after adopted: ObjectID? = nil, into cache: ObjectCache,
    _ limits: Limits
  ) async throws {
    // The adopted commit, and the newest where it is another one: naming more would cost more than it saves.
    let held = try await write(cache) {
      cache.tips.enumerated().filter { $0.element == adopted || $0.offset == cache.tips.count - 1 }.map(\.element)
    }
    try await converse(with: .uploadPack) { [self] talk in
      let advertisement = try await advertisement(in: talk)
      let request = PackRequest(
        wanted: target, held: held, boundary: advertisement.isShallowCapable ? held : [],
        depth: advertisement.possible(depth))
      let packets = try await talk.ask(
        advertisement.isVersion2 ? request.version2 : request.version0(advertisement))
      var answer = try await PackAnswer(packets, to: request, isVersion2: advertisement.isVersion2)
      let intake = try await write(cache) { try PackIntake(into: cache, PackLimiter.Bounds(limits)) }
      try await withTaskCancellationHandler {
        while let piece = try await answer.next() {
          try await write(cache) { try intake.take(piece) }
        }
        try await packets.finish()
        try await write(cache) { try intake.finish(target) }
      } onCancel: {
        intake.cancel()
      }
    }
  }

  func tidy(_ cache: ObjectCache, keeping needed: [ObjectID]) async throws {
    try await write(cache) { try cache.tidy(keeping: needed) }
  }

  /// Brings a commit of a branch into the cache, to build on it.
  func commit(_ id: ObjectID, in cache: ObjectCache) async throws -> Commit {
    if try await tip(id, in: cache) == nil { try await fetch(id, .generations(1), into: cache, Limits()) }
    return try await cache.objects.use { try $0.commit(id) }
  }

  // MARK: - Cache

  /// The cache; made anew if it was damaged, which is found out when something is read.
  func openCache() async throws -> ObjectCache {
    if let cache = state.withLock({ $0.cache }), !cache.isDamaged { return cache }
    return try await writing.run { [self] in
      // Another look may have been first.
      if let cache = state.withLock({ $0.cache }), !cache.isDamaged { return cache }
      state.withLock { state in
        if state.cache?.isDamaged == true { state.deepened = [:] }
        state.cache = nil
      }
      do {
        let cache: ObjectCache
        do {
          cache = try ObjectCache(below: cacheParent, named: cacheName, reading: reading)
        } catch let error where error is LibGit2Error || error is FileError {
          ObjectCache.remove(below: cacheParent, named: cacheName)
          cache = try ObjectCache(below: cacheParent, named: cacheName, reading: reading)
        }
        state.withLock { $0.cache = cache }
        return cache
      } catch let error where error is LibGit2Error || error is FileError {
        throw Self.unusable(error)
      }
    }
  }

  /// Does something with the cache on the thread that writes to it. What fails there is the device's own trouble: the
  /// cache is not to be trusted any more.
  func write<Value: Sendable>(
    _ cache: ObjectCache, _ body: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    try await writing.run {
      do {
        return try body()
      } catch let error where error is LibGit2Error || error is FileError {
        if let error = (error as? LibGit2Error)?.asContent { throw error }
        cache.condemn()
        throw Self.unusable(error)
      }
    }
  }

  private static func unusable(_ error: any Error) -> BackendError {
    BackendError(
      .unreachable, "what was fetched cannot be kept: \(error); see to the disk, it is fetched again at the next look",
      underlying: error)
  }
}

extension HistoryDepth {
  var adopted: GitMarker? {
    switch self {
    case .nothing: nil
    case .since(let marker), .generations(let marker, _): marker
    }
  }
}

extension Advertisement {
  /// The depth that this server can be asked for.
  fileprivate func possible(_ depth: PackRequest.Depth) -> PackRequest.Depth {
    guard isShallowCapable else { return .everything }
    if case .since = depth, !canDeepenSince { return .generations(HistoryDepth.generations[0]) }
    return depth
  }
}

/// A pack on its way into a cache: watched, indexed, and noted when it is complete.
///
/// Sound to send: one task uses it, one piece after the other, on the thread that writes; only ``cancel()`` is for all.
private final class PackIntake: @unchecked Sendable {
  private let cache: ObjectCache
  private let gate: PackLimiter
  private let indexer: PackIndexer

  init(into cache: ObjectCache, _ bounds: PackLimiter.Bounds) throws {
    self.cache = cache
    gate = PackLimiter(bounds)
    indexer = try cache.indexer()
  }

  /// Ends it soon, in the middle of completing it.
  func cancel() { indexer.cancel() }

  func take(_ bytes: [UInt8]) throws {
    try gate.pass(bytes)
    try indexer.append(bytes)
  }

  func finish(_ target: ObjectID) throws {
    try gate.finish()
    // A pack without objects is no pack to libgit2: all was here already.
    if gate.objectCount != 0 { try indexer.commit() }
    try cache.note(target)
  }
}
