import DesiredState
import DesiredStateSupport
import Glibc

/// What `--into` keeps: `current`, a symbolic link to a directory in which each document is a file named by its id.
///
/// The link is replaced atomically and only once everything behind it is on the disk, so that a reader who goes through it
/// sees one state whole, also after a power cut. Files are hard links to the store's read-only ones where the file
/// system allows it, else copies. Each carries its digest's seal in its modification time, so that a look at names, sizes
/// and times finds out whether it is still the file that was put there.
final class CurrentTree: Sendable {
  private let directory: String
  private let worker = Worker("desired-state.into")
  private let memory = LockedValue(Memory())

  /// What this process knows of the tree.
  private struct Memory {
    var revision: Revision?
    var files: [String: CurrentFile] = [:]
    var checked: ContinuousClock.Instant?
    /// Whether there may be trees that no reader needs: left by another process, or not removed when it was time.
    var isUntidy = true
  }

  // A tree with more files than this is walked through once in a while, and not at every poll.
  private static let checkedAlways = 2000
  private static let checkedEvery = Duration.seconds(600)

  init(_ directory: String) { self.directory = directory }

  private var link: String { Files.join(directory, "current") }
  private var revisions: String { Files.join(directory, "revisions") }
  private func name(_ revision: Revision) -> String { "revisions/\(revision.digest.fileName)" }

  /// Whether `current` leads to a revision's directory, and all of it is as it was put there.
  ///
  /// - Parameter documents: the revision's documents, asked for if this process has not put them there itself.
  func holds(_ revision: Revision, documents: @Sendable () async throws -> [Document]) async -> Bool {
    do {
      if memory.withLock({ $0.revision }) != revision {
        remember(revision, try await documents())
      }
      let files = memory.withLock { memory -> [String: CurrentFile]? in
        let isDue = memory.checked.map { ContinuousClock.now - $0 > Self.checkedEvery } ?? true
        guard memory.files.count <= Self.checkedAlways || isDue else { return nil }
        memory.checked = .now
        return memory.files
      }
      let isWhole = try await worker.run { [self] in
        tidy()
        guard let target = try SymbolicLink.destination(of: link), isName(target, of: revision) else { return false }
        guard let files else { return Files.isDirectory(link) }
        return try CurrentFile.areWhole(files, below: Files.join(directory, target))
      }
      if !isWhole { memory.withLock { $0.checked = nil } }
      return isWhole
    } catch {
      return false
    }
  }

  private func remember(_ revision: Revision, _ documents: [Document]) {
    let files = Dictionary(
      documents.map { ($0.id, CurrentFile(size: Int($0.size), seal: Int32($0.digest.seal))) }
    ) { first, _ in first }
    memory.withLock { memory in
      (memory.revision, memory.files, memory.checked) = (revision, files, nil)
    }
  }

  /// Puts an update in place, or right again what is no longer as it was put there.
  ///
  /// - Throws: ``FileError``; ``StoreError`` if a document of the store is damaged.
  func put(_ update: Update) async throws {
    remember(update.revision, update.documents)
    let files = memory.withLock { $0.files }
    // Bytes were digested when they were adopted, or when the update was made, so that none is read again here.
    try await worker.run { [self] in
      let previous = try SymbolicLink.destination(of: link)
      if previous == nil, try Files.status(of: link) != nil {
        throw FileError("replace what is not a symbolic link,", link, code: EEXIST)
      }
      try Files.createDirectories(revisions)
      // Left by a kill: never linked to, so that no reader uses it, and it may fill the disk.
      try removeHalfBuilt()
      var target = previous.flatMap { isName($0, of: update.revision) ? $0 : nil }
      if let there = target, !(try CurrentFile.areWhole(files, below: Files.join(directory, there))) { target = nil }
      if target == nil {
        do {
          target = try build(update)
        } catch let error as FileError where error.isNoSpace {
          // What is there only for readers that still have it open goes first.
          try removeOthers(than: [previous ?? ""])
          target = try build(update)
        }
      }
      try point(to: target!)
      // It is in place. What cannot be removed now is removed at the next poll.
      let isTidy: Void? = try? removeOthers(than: [target!, previous ?? ""])
      memory.withLock { $0.isUntidy = isTidy == nil }
    }
  }

  /// Whether a directory's name is one of a revision's: the plain one, or one with a number where that was taken.
  private func isName(_ target: String, of revision: Revision) -> Bool {
    let name = name(revision)
    return target == name || target.hasPrefix(name + ".")
  }

  /// Builds the tree of an update beside what is there.
  ///
  /// - Returns: its name, relative to the directory.
  private func build(_ update: Update) throws -> String {
    var name = name(update.revision)
    let inUse = try SymbolicLink.destination(of: link)
    for number in 1... {
      if name != inUse { break }
      name = "\(self.name(update.revision)).\(number)"
    }
    let final = Files.join(directory, name)
    let building = Files.temporaryName(for: final)
    do {
      try Files.createDirectories(building)
      for document in update.documents { try place(document, at: Files.join(building, document.id)) }
      try Files.synchronizeFileSystem(of: building)
      try Files.remove(final)
      try Files.rename(building, to: final)
      try Files.synchronizeDirectory(revisions)
    } catch {
      try? Files.remove(building)
      throw error
    }
    return name
  }

  private func place(_ document: Document, at path: String) throws {
    if document.id.contains("/") { try Files.createDirectories(Files.parent(path)) }
    if Glibc.link(document.path, path) == 0 { return try document.noteLinked() }
    // Another file system, one without hard links, or a file with too many of them: a copy serves as well.
    do {
      let source = try OpenFile.reading(document.path)
      let copy = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o444)
      while true {
        let chunk = try source.read(upTo: 1 << 18)
        if chunk.isEmpty { break }
        try copy.write(chunk)
      }
    }
    try Files.setModificationTime(of: path, nanoseconds: document.digest.seal)
  }

  /// A symbolic link cannot be changed, but one can be renamed over another.
  private func point(to target: String) throws(FileError) {
    if try SymbolicLink.destination(of: link) == target { return }
    let temporary = Files.temporaryName(for: link)
    try Files.remove(temporary)
    guard symlink(target, temporary) == 0 else { throw FileError("create symbolic link", temporary) }
    do {
      try Files.rename(temporary, to: link)
    } catch {
      try? Files.remove(temporary)
      throw error
    }
    try Files.synchronizeDirectory(directory)
  }

  private func removeHalfBuilt() throws(FileError) {
    try Files.removeTemporaries(in: revisions)
    try Files.removeTemporaries(in: directory, of: "current.")
  }

  /// Removes what an earlier update could not, or a killed process left, without waiting for another update.
  private func tidy() {
    guard memory.withLock({ $0.isUntidy }) else { return }
    do {
      guard Files.isDirectory(revisions), let target = try SymbolicLink.destination(of: link) else { return }
      try removeHalfBuilt()
      let others = try Files.names(in: revisions).filter { "revisions/\($0)" != target }
      if others.count > 1 {
        // The one before the present one stays for its readers: its directory was changed last.
        let times = try others.map { name in
          let changed = try Files.status(of: Files.join(revisions, name))?.changed
          return (name, changed.map { Double($0.tv_sec) + Double($0.tv_nsec) / 1e9 } ?? 0)
        }
        let previous = times.max { $0.1 < $1.1 }?.0 ?? ""
        try removeOthers(than: [target, "revisions/\(previous)"])
      }
      memory.withLock { $0.isUntidy = false }
    } catch {
      // Another time: what is in place is in place.
    }
  }

  /// The previous revision stays until the next one, for readers that still have it open.
  private func removeOthers(than kept: [String]) throws(FileError) {
    for name in try Files.names(in: revisions) where !kept.contains("revisions/\(name)") {
      try Files.remove(Files.join(revisions, name))
    }
  }
}
