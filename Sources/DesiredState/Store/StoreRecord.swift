import DesiredStateSupport
import FoundationEssentials

/// What `state.json` holds: everything that must change together, in one file, replaced atomically.
///
/// What a poll finds is not here (``SourceHealth``): this file is written when something has changed that must outlive a
/// power cut, and never because time has passed.
struct StoreRecord: Sendable, Equatable, Codable {
  /// 1: until July 2026. 2: refusals by source, history, rollback, acknowledgements on their way.
  static let currentFormat = 2
  /// Bytes beyond which a record is neither read nor written.
  static let sizeLimit = 16 << 20

  var format = Self.currentFormat
  /// The name this device speaks under.
  var device: String?
  /// The state this device is to be on.
  var adopted: AdoptedState?
  var applied: AppliedState?
  /// The revisions whose apply began and was not finished since `applied` was: what they brought may be there.
  var touched: [Revision] = []
  /// Whether others were too, whose names `touched` has all, and which are not kept for it: what they did is not known.
  var isUncertain: Bool?
  var floor: VersionFloor?
  /// The newest `issued` of any signed manifest adopted so far.
  var newestSigned: Date?
  /// The refusals, newest of each source.
  var refusals: [String: RefusedState] = [:]
  /// The revisions whose manifests and documents are kept, newest first.
  var kept: [Revision] = []
  /// What each source gave as its marker.
  var markers: [String: String] = [:]
  /// The facts about the kept states, newest first.
  var history: [HistoryEntry] = []
  /// Whether the device went back to an earlier state.
  var rollback: Rollback?
  /// The revision an operator allowed to be applied.
  var approved: Revision?
  /// The agent's unfinished work on the adopted state.
  var attempt: ApplyAttempt?
  /// The trial that the applied state is on.
  var trial: TrialRecord?
  /// What must be said of the changes above, and is not in the outbox yet.
  var acknowledgements: [Acknowledgement] = []
  /// Acknowledgements that were given up, newest last, one per subject.
  var refusedAcknowledgements: [RefusedAcknowledgement]?
  /// The trust update that the device follows; nil for the trust that it was set up with.
  var trust: TrustState?
  /// Those signers of the adopted state that do not count any more.
  var revokedSigners: [RevokedSigner]?
  /// Whether something could not be removed when it was no longer needed.
  var hasGarbage: Bool?
  /// What operators reset, newest last.
  var resets: [ResetRecord] = []

  /// Whether the adopted state is the applied one, and no other was begun since: what failed may have left its work behind.
  var isInPlace: Bool {
    applied != nil && applied?.revision == adopted?.revision && touched.allSatisfy { $0 == adopted?.revision }
      && isUncertain != true
  }

  /// The acknowledgement about each subject that counts: the newest.
  mutating func say(_ newer: [Acknowledgement]) {
    for acknowledgement in newer {
      acknowledgements.removeAll { $0.subject == acknowledgement.subject }
      acknowledgements.append(acknowledgement)
    }
  }
}

// MARK: - As a file

extension StoreRecord {
  /// The record as `state.json` has it.
  ///
  /// - Throws: ``StoreError`` with `notStorable` if it could not be read back: a store is never made unreadable.
  func encoded(for path: String) throws -> [UInt8] {
    let bytes = try JSON.file(self)
    // A time is written less exactly than it is held: then what was read back is not equal, and is written in the same way.
    guard bytes.count <= Self.sizeLimit, let again = try? JSON.decode(StoreRecord.self, from: bytes),
      try again == self || JSON.file(again) == bytes
    else {
      throw StoreError(
        .notStorable,
        "the new \(path) (\(bytes.count) bytes) could not be read back; nothing was changed")
    }
    return bytes
  }

  /// Reads a record.
  ///
  /// - Throws: ``StoreError`` with `wrongFormat` or `damaged`.
  init(parsing bytes: [UInt8], of path: String) throws {
    struct Header: Decodable { var format: Int }
    let format = (try? JSON.decode(Header.self, from: bytes))?.format
    if let format, format > Self.currentFormat {
      throw StoreError(
        .wrongFormat,
        "\(path) was written by a newer version of this program (format \(format), this one reads \(Self.currentFormat)); install that version again"
      )
    }
    if let format, format < Self.currentFormat {
      throw StoreError(
        .wrongFormat,
        "\(path) was written by an older version of this program (format \(format), this one reads \(Self.currentFormat)); use that version, or move the store away to begin anew (rollback protection begins anew with it)"
      )
    }
    do {
      self = try JSON.decode(StoreRecord.self, from: bytes)
    } catch {
      throw StoreError(
        .damaged,
        "\(path) cannot be read as a store's record; restore it from a backup, or move the store away to begin anew (rollback protection begins anew with it)",
        underlying: error)
    }
  }
}
