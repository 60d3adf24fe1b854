import DesiredStateSupport
import FoundationEssentials
import Glibc

/// Acknowledgements that wait to be delivered: durable before they are sent, the newest per subject, and for a recipient
/// that wants them a few changes before it.
///
/// A directory with a file for each. Several processes may use it at once: an agent that delivers, and a script that
/// adds what became of a document.
public struct Outbox: Sendable {
  let directory: String
  private let worker = Worker("desired-state.outbox")
  let patience = RetryAfterTable<Bool>()

  /// Bytes of one acknowledgement: more is refused when it is put in, and not when it is to be read.
  static let sizeLimit = 1 << 20
  /// How long another process may have the outbox: adding or removing takes milliseconds.
  private static let lockPatience = Duration.seconds(10)
  /// What cannot be read is called this from then on, and left for a person.
  private static let setAside = ".unreadable"

  /// The outbox in a directory, which is created when something is put into it.
  init(directory: String) { self.directory = directory }

  /// The outbox of the store at a path, without opening the store.
  public init(ofStore path: String) { self.init(directory: StoreLayout(path).outbox) }

  /// Puts acknowledgements in; each replaces the one about the same subject. They are durable when this returns.
  ///
  /// - Parameters:
  ///   - acknowledgements: what is to be delivered.
  ///   - keepingChanges: whether one about a document stays beside the next about it if the state has changed, for a
  ///     recipient with ``BackendCapabilities/acknowledgesEachChange``: eight at most.
  /// - Throws: ``StoreError`` with `notStorable` if one is too large; ``FileError``.
  public func put(_ acknowledgements: [Acknowledgement], keepingChanges: Bool = false) async throws {
    try await put(acknowledgements, unlessNewer: false, keepingChanges: keepingChanges)
  }

  /// - Parameter unlessNewer: whether one about a document that is there already and was made later stays.
  func put(_ acknowledgements: [Acknowledgement], unlessNewer: Bool, keepingChanges: Bool = false) async throws {
    guard !acknowledgements.isEmpty else { return }
    let directory = directory
    try await worker.run {
      for acknowledgement in acknowledgements { try Self.check(acknowledgement) }
      // The last word on each subject, with those before it.
      var order: [Acknowledgement.Subject] = []
      var entries: [Acknowledgement.Subject: OutboxEntry] = [:]
      let lock = try Self.lock(directory)
      defer { lock.release() }
      try Files.removeTemporaries(in: directory)
      // One sync for all, then the renames: the same order as for a single file, and cheap for thousands.
      var names: [(temporary: String, final: String)] = []
      for acknowledgement in acknowledgements {
        let subject = acknowledgement.subject
        let there = entries[subject] ?? (try? Self.readOne(Files.join(directory, Self.fileName(for: subject))))
        if unlessNewer, subject != .state, let there, there.newest.time > acknowledgement.time { continue }
        if entries[subject] == nil { order.append(subject) }
        guard var entry = there else {
          entries[subject] = OutboxEntry(acknowledgement)
          continue
        }
        entry.put(acknowledgement, keepingChanges: keepingChanges && subject != .state)
        entries[subject] = entry
      }
      for subject in order {
        guard let entry = entries[subject] else { continue }
        let path = Files.join(directory, Self.fileName(for: subject))
        let bytes = try Self.file(entry)
        if order.count == 1 { return try Files.replace(path, with: bytes, mode: 0o600) }
        let temporary = Files.temporaryName(for: path)
        try Files.replace(temporary, with: bytes, mode: 0o600, isDurable: false)
        names.append((temporary, path))
      }
      guard !names.isEmpty else { return }
      try Files.synchronizeFileSystem(of: directory)
      for name in names { try Files.rename(name.temporary, to: name.final) }
      try Files.synchronizeDirectory(directory)
    }
  }

  /// What waits, oldest first. A file that cannot be read is set aside, and ``StoreStatus/unreadable`` names it.
  ///
  /// - Throws: ``FileError``.
  package func waiting() async throws -> [Acknowledgement] {
    let directory = directory
    return try await worker.run {
      let contents = try Self.contents(directory)
      for path in contents.damaged {
        try Files.rename(path, to: path + Self.setAside)
      }
      return contents.waiting
    }
  }

  /// Removes an acknowledgement unless a newer one has replaced it meanwhile.
  func remove(_ acknowledgement: Acknowledgement) async throws {
    let directory = directory
    try await worker.run {
      let lock = try Self.lock(directory)
      defer { lock.release() }
      let path = Files.join(directory, Self.fileName(for: acknowledgement.subject))
      guard let current = try? Self.readOne(path) else { return }
      let rest = current.removing(acknowledgement.id)
      guard rest != current else { return }
      // Not synced: if a power cut brings it back it is delivered again, and counts once.
      if let rest {
        try Files.replace(path, with: try Self.file(rest), mode: 0o600, isDurable: false)
      } else {
        try Files.remove(path)
      }
    }
  }

  // MARK: - Files

  /// The contents of an outbox.
  struct Contents {
    /// What can be read, oldest first.
    var waiting: [Acknowledgement] = []
    /// Paths of files that hold no acknowledgement.
    var damaged: [String] = []
    /// The same and those set aside before, by name.
    var unreadable: [String] = []
  }

  static func contents(_ directory: String) throws -> Contents {
    var contents = Contents()
    var found: [(time: Date, acknowledgement: Acknowledgement)] = []
    guard let status = try Files.status(of: directory) else { return contents }
    // Told by `status`; putting something in says what to do about it.
    guard status.isDirectory || Files.isDirectory(directory) else {
      contents.unreadable.append("outbox")
      return contents
    }
    for name in try Files.names(in: directory).sorted() where !name.hasPrefix(".") {
      let path = Files.join(directory, name)
      guard name.hasSuffix(".json") else {
        contents.unreadable.append(name)
        continue
      }
      // A file that is gone by now was delivered by another process; one that the disk does not give is an error.
      guard let status = try Files.status(of: path) else { continue }
      do {
        guard status.isRegular else { throw StoreError(.wrongType, "\(path) is not a file") }
        // Those about one subject stay in the order in which they were made, also after a clock was set back.
        var time = Date.distantPast
        for acknowledgement in try readOne(path).acknowledgements {
          time = max(time, acknowledgement.time)
          found.append((time, acknowledgement))
        }
      } catch let error as FileError {
        if error.code != ENOENT { throw error }
      } catch {
        contents.damaged.append(path)
        contents.unreadable.append(name)
      }
    }
    let ordered = found.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }
    contents.waiting = ordered.map(\.element.acknowledgement)
    return contents
  }

  private static func readOne(_ path: String) throws -> OutboxEntry {
    try JSON.decode(OutboxEntry.self, from: try Files.read(path, limit: sizeLimit) ?? [])
  }

  /// - Throws: ``StoreError`` with `notStorable` if it could not be read back.
  static func check(_ acknowledgement: Acknowledgement) throws { _ = try file(OutboxEntry(acknowledgement)) }

  private static func file(_ entry: OutboxEntry) throws -> [UInt8] {
    var entry = entry
    var bytes = try JSON.file(entry)
    while bytes.count > sizeLimit, !entry.earlier.isEmpty {
      entry.earlier.removeFirst()
      bytes = try JSON.file(entry)
    }
    guard bytes.count <= sizeLimit else {
      throw StoreError(
        .notStorable,
        "an acknowledgement has \(bytes.count) bytes, the limit is \(sizeLimit); say it in fewer words")
    }
    guard (try? JSON.decode(OutboxEntry.self, from: bytes)) != nil else {
      throw StoreError(.notStorable, "an acknowledgement could not be read back; its times must be in years 1 to 9999")
    }
    return bytes
  }

  /// The same when a store is opened, if no other process is at the outbox now.
  func tidy() {
    guard let lock = try? FileLock(directory) else { return }
    defer { lock.release() }
    try? Files.removeTemporaries(in: directory)
  }

  private static func lock(_ directory: String) throws -> FileLock {
    if let status = try Files.status(of: directory), !status.isDirectory, !Files.isDirectory(directory) {
      throw StoreError(
        .wrongType, "\(directory) is not a directory; move the file away, it was not made by this program")
    }
    try Files.createDirectories(directory, mode: 0o700)
    guard let lock = try FileLock(directory, waitingAtMost: lockPatience) else {
      throw StoreError(
        .locked, "another process has held \(directory) for \(lockPatience); find it with fuser(1) and stop it")
    }
    return lock
  }

  private static func fileName(for subject: Acknowledgement.Subject) -> String {
    switch subject {
    case .state: "state.json"
    case .document(let id): "document-\(Receipt.fileName(for: id)).json"
    }
  }
}
