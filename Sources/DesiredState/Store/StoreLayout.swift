import DesiredStateSupport

/// Which file of a store is where.
struct StoreLayout: Sendable {
  let path: String

  init(_ path: String) { self.path = path }

  var lock: String { Files.join(path, "lock") }
  var state: String { Files.join(path, "state.json") }
  var contacts: String { Files.join(path, "contacts.json") }
  var blobs: String { Files.join(path, "blobs") }
  var incoming: String { Files.join(path, "incoming") }
  var outbox: String { Files.join(path, "outbox") }

  /// Reads `state.json`; a store that has none yet has an empty record.
  ///
  /// - Throws: ``StoreError`` if it is damaged. It is not replaced by itself: with it the version floor would be lost,
  ///   and the device would accept a rollback.
  func readRecord() throws -> StoreRecord {
    guard FileStatus(at: state) != nil else { return StoreRecord() }
    let bytes = try Files.read(state, limit: 16 << 20)
    do {
      let record = try JSON.decode(StoreRecord.self, from: bytes ?? [])
      if record.format == StoreRecord.currentFormat { return record }
    } catch {}
    throw StoreError(
      .damaged,
      "\(state) cannot be read as a store's record; restore it from a backup, or remove the store to begin anew (rollback protection begins anew with it)"
    )
  }

  /// Reads `contacts.json`; it is only information, so that damage counts as nothing known.
  func readContacts() -> [String: SourceHealth] {
    guard let bytes = try? Files.read(contacts, limit: 16 << 20) else { return [:] }
    return (try? JSON.decode([String: SourceHealth].self, from: bytes)) ?? [:]
  }
}
