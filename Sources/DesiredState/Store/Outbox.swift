import DesiredStateSupport
import FoundationEssentials
import Glibc

/// Acknowledgements that wait to be delivered: durable before they are sent, one per subject, the newest.
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
  /// - Throws: ``StoreError`` with `notStorable` if one is too large; ``FileError``.
  public func put(_ acknowledgements: [Acknowledgement]) async throws {
    try await put(acknowledgements, unlessNewer: false)
  }

  /// - Parameter unlessNewer: whether one about a document that is there already and was made later stays.
  func put(_ acknowledgements: [Acknowledgement], unlessNewer: Bool) async throws {
    guard !acknowledgements.isEmpty else { return }
    let directory = directory
    try await worker.run {
      let files = try acknowledgements.map { ($0, try Self.file($0)) }
      let lock = try Self.lock(directory)
      defer { lock.release() }
      try Files.removeTemporaries(in: directory)
      // One sync for all, then the renames: the same order as for a single file, and cheap for thousands.
      var names: [(temporary: String, final: String)] = []
      for (acknowledgement, bytes) in files {
        let path = Files.join(directory, Self.fileName(for: acknowledgement.subject))
        if unlessNewer, acknowledgement.subject != .state, let there = try? Self.readOne(path),
          there.time > acknowledgement.time
        {
          continue
        }
        if files.count == 1 { return try Files.replace(path, with: bytes, mode: 0o600) }
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
  public func waiting() async throws -> [Acknowledgement] {
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
      guard let current = try? Self.readOne(path), current.id == acknowledgement.id else { return }
      // Not synced: if a power cut brings it back it is delivered again, and counts once.
      try Files.remove(path)
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
        contents.waiting.append(try readOne(path))
      } catch let error as FileError {
        if error.code != ENOENT { throw error }
      } catch {
        contents.damaged.append(path)
        contents.unreadable.append(name)
      }
    }
    contents.waiting.sort { ($0.time, $0.id) < ($1.time, $1.id) }
    return contents
  }

  private static func readOne(_ path: String) throws -> Acknowledgement {
    try JSON.decode(Acknowledgement.self, from: try Files.read(path, limit: sizeLimit) ?? [])
  }

  /// - Throws: ``StoreError`` with `notStorable` if it could not be read back.
  static func check(_ acknowledgement: Acknowledgement) throws { _ = try file(acknowledgement) }

  private static func file(_ acknowledgement: Acknowledgement) throws -> [UInt8] {
    let bytes = try JSON.file(acknowledgement)
    guard bytes.count <= sizeLimit else {
      throw StoreError(
        .notStorable,
        "an acknowledgement has \(bytes.count) bytes, the limit is \(sizeLimit); say it in fewer words")
    }
    guard (try? JSON.decode(Acknowledgement.self, from: bytes)) != nil else {
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
