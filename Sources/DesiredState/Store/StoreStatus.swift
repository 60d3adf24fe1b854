import DesiredStateSupport
public import FoundationEssentials

/// What a store says about itself to a person or a program, read without disturbing the agent that has it.
public struct StoreStatus: Sendable, Equatable {
  /// The state this device is to be on.
  public var adopted: AdoptedState?
  /// The state whose documents the agent has put to work.
  public var applied: AppliedState?
  /// Whether the adopted state is the applied one, and no other was begun since.
  package var isInPlace: Bool
  /// The refusals: the newest of each source.
  public var refused: [RefusedState]
  /// The highest version adopted so far: no lower one is adopted.
  package var floor: VersionFloor?
  /// The trust update that the device follows; nil for the trust that it was set up with.
  public var trust: TrustState?
  /// Those signers of the adopted state that were revoked since, or are not among the allowed signers any more.
  public var revokedSigners: [RevokedSigner]
  /// The states that are kept, newest first.
  public var history: [HistoryEntry]
  /// Whether the device went back to an earlier state.
  public var rollback: Rollback?
  /// The agent's unfinished work on the adopted state.
  public var attempt: ApplyAttempt?
  /// The revision an operator allowed to be applied.
  public var approved: Revision?
  /// How the last poll of each source went.
  public var sources: [String: SourceHealth]
  /// Why the last acknowledgement that was sent did not arrive; nil if it did.
  public var deliveryError: SourceHealth.Failure?
  /// How many acknowledgements wait to be delivered.
  public var waiting: Int
  /// How many of those no recipient takes: they are kept for one that does, and are no trouble.
  public var untaken: Int
  /// When the oldest was made of those that a recipient takes.
  public var oldestTaken: Date?
  /// Files of the outbox that cannot be read, and were set aside.
  public var unreadable: [String]
  /// Acknowledgements that were refused for good and given up, newest last.
  public var refusedAcknowledgements: [RefusedAcknowledgement]
  /// What operators reset, newest last.
  package var resets: [ResetRecord]
  /// The newest signed time of any manifest adopted so far: no clock that is behind it is believed.
  package var newestSigned: Date?

  /// Reads the status of the store at a path.
  ///
  /// - Throws: ``StoreError`` if there is no store or its record is damaged; ``FileError``.
  public static func read(_ path: String) async throws -> StoreStatus {
    try await Worker("desired-state.status").run {
      let layout = StoreLayout(path)
      guard try Files.status(of: layout.lock) != nil else {
        throw StoreError(.notAStore, "\(path) is not a store; name the directory that an agent keeps")
      }
      let record = try layout.readRecord() ?? StoreRecord()
      let outbox = try Outbox.contents(layout.outbox)
      // The same acknowledgement in the record and in the outbox counts once.
      let waiting =
        outbox.waiting + record.acknowledgements.filter { said in !outbox.waiting.contains { $0.id == said.id } }
      let health = layout.readHealth()
      let taken = waiting.filter { health.delivery.takes?.contains($0.capability) ?? true }
      return StoreStatus(
        adopted: record.adopted, applied: record.applied, isInPlace: record.isInPlace,
        refused: record.refusals.values.sorted { ($0.at, $0.source) < ($1.at, $1.source) }, floor: record.floor,
        trust: record.trust, revokedSigners: record.revokedSigners ?? [],
        history: record.history, rollback: record.rollback, attempt: record.attempt, approved: record.approved,
        sources: health.sources, deliveryError: health.delivery.lastError, waiting: waiting.count,
        untaken: waiting.count - taken.count, oldestTaken: taken.map(\.time).min(),
        unreadable: outbox.unreadable,
        refusedAcknowledgements: record.refusedAcknowledgements ?? [], resets: record.resets,
        newestSigned: record.newestSigned)
    }
  }
}
