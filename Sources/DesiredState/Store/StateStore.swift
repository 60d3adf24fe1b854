import DesiredStateSupport
import FoundationEssentials
import Glibc

/// The adopted state of a device, durable and by itself enough to start from without a network.
///
/// One directory, one process at a time. After a kill or a power cut at any instruction it opens with the old state or
/// the new one. The actor runs on a thread of its own, because everything it does blocks on the disk.
public actor StateStore {
  /// The directory.
  nonisolated let path: String
  /// Acknowledgements on their way to an orchestrator. Other processes may add to it while this one has the store.
  public nonisolated let outbox: Outbox

  nonisolated let blobs: BlobStore
  /// Reads documents for the agent that applies them.
  nonisolated let reader = Worker("desired-state.store.read")
  /// How large the store's documents may be together, in bytes; nil: as large as the disk allows.
  nonisolated let sizeLimit: UInt64?
  /// How many states are kept, the adopted one included.
  let keptStates: Int
  /// Nil once the store is closed.
  private var lock: FileLock?
  private let executor = BlockingExecutor("desired-state.store")
  private(set) var record: StoreRecord
  /// The record as it is on the disk.
  private var written: StoreRecord
  var health: StoreHealth
  var journal: HealthJournal
  /// The blob that was scrubbed last, and when.
  var scrubbed: Digest?
  var lastScrub: Date?
  nonisolated let scrubber = Worker("desired-state.store.scrub")

  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// Opens the store in a directory, creating it if it is not there.
  ///
  /// - Parameters:
  ///   - path: the directory.
  ///   - keeping: how many states to keep, the adopted one included. The documents of older ones are removed.
  ///   - maximumSize: how many bytes the documents and manifests may have together; nil: as many as the disk allows.
  /// - Throws: ``StoreError`` if another process has it, or its records are damaged, gone, or of another version;
  ///   ``FileError``.
  public static func open(_ path: String, keeping: Int = 2, maximumSize: UInt64? = nil) async throws -> StateStore {
    try await Worker("desired-state.store.open").run {
      let layout = StoreLayout(path)
      try layout.prepare()
      guard let lock = try FileLock(layout.lock) else {
        throw StoreError(
          .locked,
          "\(path) is in use by another process; one agent at a time can have a store: stop the other, or use another directory"
        )
      }
      let record: StoreRecord
      if let known = try layout.readRecord() {
        record = known
      } else {
        // Before anything else is put there: without a record, a store that holds something is damaged.
        record = StoreRecord()
        try Files.replace(layout.state, with: record.encoded(for: layout.state))
        try Files.synchronizeDirectory(Files.parent(path))
      }
      // What an interrupted adoption left of a large document is continued by the next; its digest will tell whether all of
      // it reached the disk.
      try BlobStore(directory: layout.blobs, incoming: layout.incoming).removeDrafts { _ in true }
      try Files.removeTemporaries(in: layout.path)
      if Files.isDirectory(layout.outbox) { Outbox(directory: layout.outbox).tidy() }
      return StateStore(
        layout: layout, keeping: max(1, keeping), maximumSize: maximumSize, lock: lock, record: record,
        health: layout.readHealth())
    }
  }

  private init(
    layout: StoreLayout, keeping: Int, maximumSize: UInt64?, lock: FileLock, record: StoreRecord, health: StoreHealth
  ) {
    path = layout.path
    outbox = Outbox(directory: layout.outbox)
    blobs = BlobStore(directory: layout.blobs, incoming: layout.incoming)
    keptStates = keeping
    sizeLimit = maximumSize
    self.lock = lock
    self.record = record
    written = record
    self.health = health
    journal = HealthJournal(written: health)
  }

  /// Gives the store up, so that another process, or this one, may open it. Without it that happens when the last
  /// reference goes, which may be a moment after the work is done. Nothing can be changed any more afterwards.
  public func close() {
    guard lock != nil else { return }
    // Both are conveniences: a store that is not closed, or cannot be written to, loses nothing that was promised.
    if journal.isDueAtEnd(health, at: Date()) { try? writeHealth(at: Date()) }
    try? write(record)
    lock?.release()
    lock = nil
  }

  // MARK: - Facts

  /// The state that was verified and is durable, and that this device is to be on.
  public var adopted: AdoptedState? { record.adopted }
  /// The state whose documents the agent finished putting to work.
  public var applied: AppliedState? { record.applied }
  /// Whether the adopted state is the applied one, and no other was begun since.
  package var isInPlace: Bool { record.isInPlace }
  /// The version below which nothing is adopted.
  package var floor: VersionFloor? { record.floor }
  /// The refusals: the newest of each source.
  package var refused: [RefusedState] { record.refusals.values.sorted { ($0.at, $0.source) < ($1.at, $1.source) } }
  /// The states that are kept, newest first.
  package var history: [HistoryEntry] { record.history }
  /// Whether the device went back to an earlier state, and from which.
  package var rollback: Rollback? { record.rollback }
  /// The agent's unfinished work on the adopted state.
  package var attempt: ApplyAttempt? { record.attempt }
  /// The revision an operator allowed to be applied.
  package var approved: Revision? { record.approved }

  /// The state that sources are known to offer: the adopted one, or the one that was rolled back from. A source that
  /// still publishes it has nothing new.
  var offered: AdoptedState? { record.rollback?.from ?? record.adopted }

  /// Which documents need not be fetched.
  package nonisolated var heldDocuments: HeldDocuments {
    let blobs = blobs
    return HeldDocuments { blobs.holds($0) }
  }

  /// The manifest of a kept state.
  ///
  /// - Throws: ``StoreError`` with `documentDamaged` if its bytes are gone or wrong; ``FileError`` if they cannot be read
  ///   now.
  func manifest(of revision: Revision) throws -> StateManifest { try blobs.manifest(of: revision) }

  // MARK: - Records

  /// Changes the record durably; nothing is written if nothing changes. What must be said of the change is part of it.
  func change(saying acknowledgements: [Acknowledgement] = [], _ edit: (inout StoreRecord) -> Void) throws {
    guard lock != nil else { throw StoreError(.locked, "\(path) was closed; open it again") }
    for acknowledgement in acknowledgements { try Outbox.check(acknowledgement) }
    var next = record
    edit(&next)
    next.say(acknowledgements)
    if let device = acknowledgements.last?.device { next.device = device }
    try write(next)
    record = next
  }

  /// Changes a fact that is not worth a write of its own: it becomes durable with the next change, or when the store is closed.
  func changeInPassing(_ edit: (inout StoreRecord) -> Void) { edit(&record) }

  /// The trust update that the device follows; nil for the trust that it was set up with.
  package var trust: TrustState? { record.trust }

  private func write(_ next: StoreRecord) throws {
    guard next != written else { return }
    let state = StoreLayout(path).state
    try Files.replace(state, with: try next.encoded(for: state), mode: 0o600)
    written = next
  }
}
