import DesiredStateSupport
import FoundationEssentials
import Glibc

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
  var requests: String { Files.join(path, "requests") }

  /// Creates missing parts, and checks the others: a directory of the wrong kind or of another user is found out now
  /// and not in the middle of an adoption. The outbox is not among them: without it a device still adopts and applies.
  func prepare() throws {
    try makeDirectory(path)
    for directory in [blobs, incoming, requests] { try makeDirectory(directory) }
    for file in [state, contacts, lock] { try checkFile(file) }
  }

  /// Makes a directory that no other user can look into: one who could open the lock could hold it.
  private func makeDirectory(_ directory: String) throws {
    try Files.createDirectories(directory, mode: 0o700)
    var status = stat()
    guard stat(directory, &status) == 0 else { throw FileError("look at", directory) }
    guard status.st_uid == geteuid() || geteuid() == 0 else {
      throw StoreError(
        .wrongType,
        "\(directory) belongs to another user (id \(status.st_uid)); make it this one's (chown), or run as that user")
    }
    guard status.st_mode & 0o077 != 0 else { return }
    guard chmod(directory, 0o700) == 0 || errno == EROFS else {
      throw FileError("change the permissions of", directory)
    }
  }

  private func checkFile(_ file: String) throws {
    guard let status = try Files.status(of: file), !status.isRegular else { return }
    throw StoreError(.wrongType, "\(file) is not a file; move it away, it was not made by this program")
  }

  /// Reads `state.json`; nil if this is a directory in which no store was begun yet.
  ///
  /// - Throws: ``StoreError`` if it is damaged, gone, or cannot be read. It is not replaced by itself: with it the
  ///   version floor would be lost, and the device would accept a rollback.
  func readRecord() throws -> StoreRecord? {
    let bytes: [UInt8]?
    do {
      guard try Files.status(of: state) != nil else {
        // A record is made before anything else is: without one, nothing else is there.
        let remains = try [blobs, incoming].first { try Files.status(of: $0) != nil && !Files.names(in: $0).isEmpty }
        guard let remains = try remains ?? (Files.status(of: contacts) == nil ? nil : contacts) else { return nil }
        throw StoreError(
          .damaged,
          "\(state) is gone, and \(remains) is not; restore it from a backup, or move the store away to begin anew (rollback protection begins anew with it)"
        )
      }
      bytes = try Files.read(state, limit: StoreRecord.sizeLimit)
    } catch let error as FileError {
      throw StoreError(
        .damaged, "\(error.description); the store is left alone, because its record cannot be read", underlying: error)
    }
    return try StoreRecord(parsing: bytes ?? [], of: state)
  }

  /// Reads `contacts.json`; it is only information, so that damage counts as nothing known.
  func readHealth() -> StoreHealth {
    guard let bytes = try? Files.read(contacts, limit: 16 << 20) else { return StoreHealth() }
    return (try? JSON.decode(StoreHealth.self, from: bytes)) ?? StoreHealth()
  }
}
