import DesiredStateSupport
public import FoundationEssentials

/// What a store says about itself to a person or a program, read without disturbing the agent that has it.
public struct StoreStatus: Sendable, Equatable {
  public var adopted: AdoptedState?
  public var applied: AppliedState?
  public var refused: RefusedState?
  public var floor: VersionFloor?
  /// The trust update that the device follows; nil for the trust that it was set up with.
  public var trust: TrustState?
  /// Those signers of the adopted state whose keys were revoked since.
  public var revokedSigners: [Signer]
  /// How the last look at each source went.
  public var sources: [String: SourceHealth]
  /// How many statements wait to be delivered.
  public var waiting: Int
  /// When the oldest of them was made.
  public var oldest: Date?

  /// Reads the status of the store at a path.
  ///
  /// - Throws: ``StoreError`` if there is no store or its record is damaged; ``FileError``.
  public static func read(_ path: String) async throws -> StoreStatus {
    try await Worker("desired-state.status").run {
      let layout = StoreLayout(path)
      guard FileStatus(at: layout.lock) != nil else {
        throw StoreError(.notAStore, "\(path) is not a store; 'desired-state follow --store' makes one")
      }
      let record = try layout.readRecord()
      let waiting = try Outbox.read(layout.outbox)
      return StoreStatus(
        adopted: record.adopted, applied: record.applied, refused: record.refused, floor: record.floor,
        trust: record.trust, revokedSigners: record.revokedSigners ?? [],
        sources: layout.readContacts(), waiting: waiting.count, oldest: waiting.first?.time)
    }
  }
}
