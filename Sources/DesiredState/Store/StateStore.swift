import DesiredStateSupport
public import FoundationEssentials
import Glibc

/// What a device has adopted, durable and by itself enough to start from without a network.
///
/// One directory, one process at a time. After a kill or a power cut at any instruction it opens with the old state or
/// the new one. The actor runs on a thread of its own, because everything it does blocks on the disk.
public actor StateStore {
  /// The directory.
  public nonisolated let path: String
  /// Statements on their way to an orchestrator. Other processes may add to it while this one has the store.
  public nonisolated let outbox: Outbox

  nonisolated let blobs: BlobStore
  /// Reads documents for whoever applies them.
  nonisolated let reader = Worker("desired-state.store.read")
  /// How many states are kept, the adopted one included.
  private let keptStates: Int
  /// Nil once the store is closed.
  private var lock: FileLock?
  private let executor = BlockingExecutor("desired-state.store")
  private(set) var record: StoreRecord
  private(set) var contacts: [String: SourceHealth]

  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// Opens the store in a directory, creating it if it is not there.
  ///
  /// - Parameter keeping: how many states to keep, the adopted one included. The documents of older ones are removed.
  /// - Throws: ``StoreError`` if another process has it or its records are damaged; ``FileError``.
  public static func open(_ path: String, keeping: Int = 2) async throws -> StateStore {
    try await Worker("desired-state.store.open").run {
      let layout = StoreLayout(path)
      try Files.createDirectories(layout.blobs)
      try Files.createDirectories(layout.incoming)
      try Files.createDirectories(layout.outbox)
      guard let lock = try FileLock(layout.lock) else {
        throw StoreError(
          .locked,
          "\(path) is in use by another process; one agent at a time can have a store (stop it, or use another --store)"
        )
      }
      // What an interrupted adoption left is not known to be on the disk.
      for name in try Files.names(in: layout.incoming) { try Files.remove(Files.join(layout.incoming, name)) }
      return StateStore(
        layout: layout, keeping: max(1, keeping), lock: lock, record: try layout.readRecord(),
        contacts: layout.readContacts())
    }
  }

  private init(
    layout: StoreLayout, keeping: Int, lock: FileLock, record: StoreRecord, contacts: [String: SourceHealth]
  ) {
    path = layout.path
    outbox = Outbox(directory: layout.outbox)
    blobs = BlobStore(directory: layout.blobs, incoming: layout.incoming)
    keptStates = keeping
    self.lock = lock
    self.record = record
    self.contacts = contacts
  }

  /// Gives the store up, so that another process, or this one, may open it. Without it that happens when the last
  /// reference goes, which may be a moment after the work is done. Nothing can be changed any more afterwards.
  public func close() {
    lock?.release()
    lock = nil
  }

  // MARK: - What is known

  /// The state that was verified and is durable.
  public var adopted: AdoptedState? { record.adopted }
  /// The state whose documents the agent finished putting to work.
  public var applied: AppliedState? { record.applied }
  /// The version below which nothing is adopted.
  public var floor: VersionFloor? { record.floor }
  /// The newest state that was refused.
  public var refused: RefusedState? { record.refused }

  /// Which documents need not be fetched.
  public nonisolated var heldDocuments: HeldDocuments {
    let blobs = blobs
    return HeldDocuments { blobs.holds($0) }
  }

  /// The manifest of a kept state.
  ///
  /// - Throws: ``StoreError`` with `documentDamaged` if its bytes are gone or wrong.
  func manifest(of revision: Revision) throws -> StateManifest {
    guard let bytes = try? Files.read(blobs.path(of: revision.digest), limit: .max - 1),
      Digest.of(bytes) == revision.digest
    else {
      throw StoreError(
        .documentDamaged, "the manifest \(revision) in \(path) is damaged; it is fetched again at the next look")
    }
    return try StateManifest(parsing: bytes, requiresVersion: false)
  }

  // MARK: - Records

  /// Changes the record durably; nothing is written if nothing changes.
  func change(_ edit: (inout StoreRecord) -> Void) throws {
    guard lock != nil else { throw StoreError(.locked, "\(path) was closed; open it again") }
    var next = record
    edit(&next)
    guard next != record else { return }
    try Files.replace(StoreLayout(path).state, with: JSON.file(next))
    record = next
  }

  /// Notes that the agent has finished putting the adopted state to work.
  public func markApplied(_ state: AdoptedState, at time: Date) throws {
    try change {
      $0.applied = AppliedState(
        revision: state.revision, version: state.version, signers: state.signers, source: state.source, origin: state.origin,
        at: time)
    }
  }

  /// Notes that a state was refused; nil forgets it.
  func markRefused(_ refused: RefusedState?) throws { try change { $0.refused = refused } }

  /// The trust update that the device follows; nil for the trust that it was set up with.
  public var trust: TrustState? { record.trust }

  /// Makes a trust update durable. An earlier one than the device follows changes nothing.
  func follow(_ trust: TrustState) throws {
    guard trust.version > record.trust?.version ?? 0 else { return }
    try change { $0.trust = trust }
  }

  /// Notes which signers of the adopted state are revoked.
  func markRevoked(_ signers: [Signer]) throws {
    try change { $0.revokedSigners = signers.isEmpty ? nil : signers }
  }

  /// Notes where a source stands in its own terms.
  func setMarker(_ marker: String?, of source: String) throws { try change { $0.markers[source] = marker } }

  /// Notes how a look at a source went. It is for people to read: never torn, but not worth an fsync at every poll.
  func noteContact(with source: String, at time: Date, failure: BackendError? = nil, absence: Absence? = nil) throws {
    var contact = contacts[source] ?? SourceHealth()
    if let failure {
      contact.lastError = .init(code: failure.code, message: failure.message, at: time)
    } else {
      contact.lastContact = time
      contact.lastError = nil
      contact.absent = absence
    }
    contacts[source] = contact
    try Files.replace(StoreLayout(path).contacts, with: JSON.file(contacts), isDurable: false)
  }

  // MARK: - Garbage

  /// The revisions to keep once `adopted` is: it, the applied one, and the newest others up to the number configured.
  func kept(after adopted: Revision) -> [Revision] {
    var kept = [adopted]
    for revision in record.kept where !kept.contains(revision) && kept.count < keptStates { kept.append(revision) }
    if let applied = record.applied?.revision, !kept.contains(applied) { kept.append(applied) }
    return kept
  }

  /// Removes what no kept state needs.
  func collectGarbage() throws {
    var wanted: Set<Digest> = []
    for revision in record.kept {
      wanted.insert(revision.digest)
      // A kept manifest that cannot be read protects nothing; the adopted one is checked before it is used.
      for document in (try? manifest(of: revision))?.documents ?? [] { wanted.insert(document.digest) }
    }
    try blobs.collectGarbage(keeping: wanted)
  }
}
