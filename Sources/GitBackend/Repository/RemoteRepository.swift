import DesiredState
import DesiredStateSupport

/// A repository at the other end of a transport: asked cheaply for changes, and fetched from into a cache if there are any.
///
/// One protocol client serves every transport; libgit2 does the local work. It is entered only when there is something new.
final class RemoteRepository: GitRepository {
  let transport: any GitTransport
  let source: String
  let cacheParent: String?
  private let cacheName: String
  /// The directory of which the files are needed, empty for the root; nil if nothing is ever left out.
  let part: String?
  /// Writes to the cache, on one thread; documents are read on another.
  let writing = Worker("desired-state.git.write")
  private let reading = Worker("desired-state.git.read")
  let state = LockedValue(State())

  struct State {
    /// What the services said of themselves, where they need not be asked again.
    var advertisements: [GitService: Advertisement] = [:]
    /// Whether the server sends files one by one; nil if it has not said what it can do.
    var sendsParts: Bool?
    /// It says so, and does not do it.
    var refusesParts = false
    /// The pack that is on its way.
    var download: Download?
    var cache: ObjectCache?
    /// Which pairs of commits were compared, and how they stand: nothing is fetched twice for it.
    var compared: [[ObjectID]: Ancestry] = [:]
    /// The target of which nothing more is fetched as long as a plain tree of it is refused.
    var refused: (target: ObjectID, reference: String, signatures: TargetSignatures)?
  }

  /// - Parameters:
  ///   - cacheParent: the directory in which this repository has a cache; nil for a temporary one.
  ///   - purpose: keeps two caches of one repository apart.
  ///   - part: the directory of which the files are needed; nil if nothing is ever left out.
  init(
    _ transport: any GitTransport, source: String, cacheParent: String?, purpose: String, part: String? = nil
  ) {
    self.transport = transport
    self.part = part
    self.source = source
    self.cacheParent = cacheParent
    cacheName = "git-" + Digest.of("\(purpose) \(source)".utf8).hexadecimal.prefix(16)
  }

  func reload() { transport.reload() }

  var channel: String? { transport.channel }

  // MARK: - Sessions

  func references(_ query: ReferenceQuery) async throws -> [String: ObjectID] {
    try await withSession(with: .uploadPack) { [self] session in
      let advertisement = try await advertisement(.uploadPack, in: session, .references(query))
      return advertisement.isVersion2
        ? try await query.ask(session, of: advertisement) : advertisement.references
    }
  }

  /// Opens a session. A failure may mean that the server is another one by now, so what it said of itself is forgotten.
  ///
  /// - Throws: what `body` throws, in the words of the contract.
  func withSession<Value: Sendable>(
    with service: GitService, _ body: @escaping @Sendable (any GitSession) async throws -> Value
  ) async throws -> Value {
    do {
      return try await transport.withSession(with: service, body)
    } catch {
      if error is GitProtocolError || error is BackendError { state.withLock { $0.advertisements = [:] } }
      throw translated(error)
    }
  }

  func advertisement(
    _ service: GitService, in session: any GitSession, _ extent: Advertisement.Extent = .capabilities
  ) async throws -> Advertisement {
    if transport.isStateless, let known = state.withLock({ $0.advertisements[service] }) { return known }
    let packets = try await session.advertisement()
    // On a connection with state all of it has to be read, because the answers follow.
    var extent = extent
    if !transport.isStateless, case .capabilities = extent { extent = .references(.names([])) }
    let advertisement = try await Advertisement.read(packets, extent)
    try await packets.finish()
    if service == .uploadPack { state.withLock { $0.sendsParts = advertisement.sendsParts } }
    // Before protocol 2 it is the list of references, which is wanted anew each time.
    var isKept = advertisement.isVersion2
    if case .capabilities = extent { isKept = isKept || service == .receivePack }
    if transport.isStateless, isKept { state.withLock { $0.advertisements[service] = advertisement } }
    return advertisement
  }

  // MARK: - Objects

  func discard(_ target: ObjectID) async throws {
    guard let cache = state.withLock({ $0.cache }), !cache.isDamaged else { return }
    try await write(cache) { try cache.discard(target) }
  }

  func tidy(keeping needed: [ObjectID]) async throws {
    guard let cache = state.withLock({ $0.cache }), !cache.isDamaged else { return }
    try await write(cache) { try cache.tidy(keeping: needed) }
  }

  /// Brings a commit of a branch into the cache, to build on it.
  func commit(_ id: ObjectID, in cache: ObjectCache) async throws -> Commit {
    if try await tip(id, in: cache) == nil { try await fetchWhole(id, gate: nil, into: cache, Limits()) }
    return try await cache.objects.use { try $0.commit(id) }
  }

  // MARK: - Cache

  /// The cache; made anew if it was damaged, which is found out when something is read.
  func openCache() async throws -> ObjectCache {
    if let cache = state.withLock({ $0.cache }), !cache.isDamaged { return cache }
    return try await writing.run { [self] in
      // Another poll may have been first.
      if let cache = state.withLock({ $0.cache }), !cache.isDamaged { return cache }
      state.withLock { $0.cache = nil }
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
      .unreachable,
      "the fetched objects cannot be kept: \(error); see to the disk, it is fetched again at the next poll",
      underlying: error)
  }
}
