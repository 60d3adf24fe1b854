import DesiredState
import DesiredStateSupport

/// The far end of a ``MockBackend``: its publication, its faults, and its record of requests.
final class MockSource: Sendable {
  /// The publication: the bytes that are there, which need not be the right ones.
  struct Published {
    var publication: TestPublication
    var manifest: [UInt8]
    var signatures: [UInt8]
    var isManifestEndless = false

    var revision: Revision { Revision(ofManifest: manifest) }
  }

  private struct State {
    var published: Published?
    // By digest, and kept when a newer state is published, so that a reader of an older one can go on.
    var documents: [Digest: [UInt8]] = [:]
    var endless: Set<Digest> = []
    var highestVersion: UInt64 = 0
    var patience: Duration?
    var failing: [MockBackend.Operation: any Error] = [:]
    var failingNext: [MockBackend.Operation: [any Error]] = [:]
    var delays: [MockBackend.Operation: Duration] = [:]
    var acknowledgements: [Acknowledgement] = []
    var received: Set<String> = []
    var counts = MockBackend.Counts()
    var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
    var nextListener = 0
  }
  private let state = LockedValue(State())
  private let clock: any Clock<Duration>
  let stall = MockStall()

  init(clock: any Clock<Duration>) { self.clock = clock }

  var published: Published? { state.withLock { $0.published } }
  var nextVersion: UInt64 { state.withLock { $0.highestVersion + 1 } }
  var acknowledgements: [Acknowledgement] { state.withLock { $0.acknowledgements } }
  var counts: MockBackend.Counts { state.withLock { $0.counts } }
  var patience: Duration? {
    get { state.withLock { $0.patience } }
    set { state.withLock { $0.patience = newValue } }
  }

  func count(_ change: (inout MockBackend.Counts) -> Void) { state.withLock { change(&$0.counts) } }

  // MARK: - Publishing

  func publish(_ publication: TestPublication, leavingOut missing: Set<TestPublication.Part>) {
    state.withLock { state in
      for (id, bytes) in publication.documents {
        let digest = Digest.of(bytes)
        state.documents[digest] = missing.contains(.document(id)) ? nil : bytes
        state.endless.remove(digest)
      }
      // Read as documents are, each under the digest of its path.
      for update in publication.trustUpdates where !missing.contains(.signatures) {
        state.documents[.of(DropLayout.trustUpdate(update.number).utf8)] = update.update
        state.documents[.of(DropLayout.trustSignatures(update.number).utf8)] = update.signatures
      }
      state.published = Published(
        publication: publication, manifest: publication.manifest,
        signatures: missing.contains(.signatures) ? [] : publication.signatures)
      state.highestVersion = max(state.highestVersion, publication.version)
    }
    hint()
  }

  func publishNothing() {
    state.withLock { $0.published = nil }
    hint()
  }

  func corrupt(_ part: TestPublication.Part) {
    state.withLock { state in
      guard var published = state.published else { return }
      switch part {
      case .manifest: published.manifest = TestPublication.corrupted(published.manifest)
      case .signatures: published.signatures = TestPublication.corrupted(published.signatures)
      case .document(let id):
        guard let digest = published.publication.digest(of: id), let bytes = state.documents[digest] else { return }
        state.documents[digest] = TestPublication.corrupted(bytes)
      }
      state.published = published
    }
  }

  func repair(_ part: TestPublication.Part) {
    state.withLock { state in
      guard var published = state.published else { return }
      let publication = published.publication
      switch part {
      case .manifest: published.manifest = publication.manifest
      case .signatures: published.signatures = publication.signatures
      case .document(let id):
        if let bytes = publication.documents[id] { state.documents[Digest.of(bytes)] = bytes }
      }
      state.published = published
    }
  }

  func makeManifestEndless() { state.withLock { $0.published?.isManifestEndless = true } }

  func makeDocumentEndless(_ id: String) {
    state.withLock { state in
      guard let digest = state.published?.publication.digest(of: id) else { return }
      state.endless.insert(digest)
    }
  }

  // MARK: - Hints

  func hints() -> AsyncStream<Void> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let id = state.withLock { state in
        state.nextListener += 1
        state.listeners[state.nextListener] = continuation
        return state.nextListener
      }
      continuation.onTermination = { [weak self] _ in
        self?.state.withLock { _ = $0.listeners.removeValue(forKey: id) }
      }
    }
  }

  func hint() {
    // Outside the lock: a continuation may call its termination handler.
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield() }
  }

  // MARK: - Trouble

  func failNext(_ operation: MockBackend.Operation, with errors: [any Error]) {
    state.withLock { $0.failingNext[operation, default: []] += errors }
  }

  func fail(_ operations: Set<MockBackend.Operation>, with error: any Error) {
    state.withLock { state in for operation in operations { state.failing[operation] = error } }
  }

  func delay(_ operation: MockBackend.Operation, by duration: Duration) {
    state.withLock { $0.delays[operation] = duration }
  }

  func recover() {
    state.withLock { state in
      state.failing = [:]
      state.failingNext = [:]
      state.delays = [:]
    }
    stall.resume()
  }

  /// What every operation goes through before it is answered: delays, stalls and failures.
  func pass(_ operation: MockBackend.Operation, timeout: Duration) async throws {
    try Task.checkCancellation()
    if let delay = state.withLock({ $0.delays[operation] }) {
      try await clock.sleep(for: min(delay, timeout))
      if delay >= timeout { throw Self.timeout(timeout) }
    }
    if stall.isStalled(operation) { try await waitWhileStalled(operation, timeout: timeout) }
    let error = state.withLock { state -> (any Error)? in
      if state.failingNext[operation]?.isEmpty == false { return state.failingNext[operation]?.removeFirst() }
      return state.failing[operation]
    }
    if let error { throw error }
  }

  private func waitWhileStalled(_ operation: MockBackend.Operation, timeout: Duration) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [stall] in try await stall.wait(operation) }
      group.addTask { [clock] in
        try await clock.sleep(for: timeout)
        throw Self.timeout(timeout)
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private static func timeout(_ timeout: Duration) -> BackendError {
    BackendError(.timeout, "the source did not answer within \(timeout)")
  }

  // MARK: - Reading

  func manifest(of published: Published, limit: Int) throws -> [UInt8] {
    count { $0.manifestReads += 1 }
    guard published.isManifestEndless else { return try read(published.manifest, limit: limit, "manifest") }
    var manifest: [UInt8] = []
    // White space before JSON is JSON: only the limit ends it.
    while manifest.count <= limit {
      manifest += [UInt8](repeating: UInt8(ascii: " "), count: Self.pieceSize)
      count { $0.bytes += UInt64(Self.pieceSize) }
    }
    throw VerificationError(.limitExceeded, "the manifest is longer than the limit of \(limit) bytes")
  }

  func signatures(of published: Published, limit: Int) throws -> [[UInt8]] {
    published.signatures.isEmpty ? [] : [try read(published.signatures, limit: limit, "signature file")]
  }

  /// The bytes, in pieces as a wire would bring them, and no further than the limit.
  private func read(_ bytes: [UInt8], limit: Int, _ what: String) throws -> [UInt8] {
    let read = bytes.prefix(limit + 1)
    count { $0.bytes += UInt64(read.count) }
    guard read.count <= limit else {
      throw VerificationError(.limitExceeded, "the \(what) is longer than the limit of \(limit) bytes")
    }
    return Array(read)
  }

  /// How many bytes come at a time.
  static let pieceSize = 64 << 10

  /// What a document holds; nil if it is not there.
  func content(of digest: Digest) -> MockDocument.Content? {
    state.withLock { state in
      state.counts.documentReads[digest, default: 0] += 1
      if state.endless.contains(digest) { return .endless }
      return state.documents[digest].map { .bytes($0) }
    }
  }

  // MARK: - Acknowledgements

  func receive(_ acknowledgement: Acknowledgement) {
    state.withLock { state in
      guard state.received.insert(acknowledgement.id).inserted else { return }
      state.acknowledgements.append(acknowledgement)
    }
  }
}
