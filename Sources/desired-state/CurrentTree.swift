import DesiredState
import DesiredStateSupport
import Glibc

/// What `--into` keeps: `current`, a symbolic link to a directory in which each document is a file named by its id.
///
/// The link is replaced atomically and only once everything behind it is on the disk, so that a reader who goes through it
/// sees one state whole, also after a power cut. Files are hard links to the store's read-only ones where the file
/// system allows it, else copies.
struct CurrentTree: Sendable {
  private let directory: String
  private let worker = Worker("desired-state.into")

  init(_ directory: String) { self.directory = directory }

  private var link: String { Files.join(directory, "current") }
  private var revisions: String { Files.join(directory, "revisions") }
  private func target(_ revision: Revision) -> String { "revisions/\(revision.digest.fileName)" }

  /// Whether `current` leads to a revision's directory.
  func holds(_ revision: Revision) async -> Bool {
    let link = link
    let target = target(revision)
    return (try? await worker.run { Self.destination(of: link) == target && Files.isDirectory(link) }) ?? false
  }

  /// Puts an update in place.
  ///
  /// - Throws: ``FileError``; ``StoreError`` if a document of the store is damaged.
  func put(_ update: Update) async throws {
    // Bytes were verified when they were adopted and the store checks its seals, so that nothing is read again here.
    try await worker.run { [self] in
      let previous = Self.destination(of: link)
      if previous == nil, FileStatus(at: link) != nil {
        throw FileError("replace something other than a symbolic link,", link, code: EEXIST)
      }
      let final = Files.join(revisions, update.revision.digest.fileName)
      try Files.createDirectories(revisions)
      // Left by a kill: never linked to, so it is not in use.
      if previous != target(update.revision) { try Files.remove(final) }
      if FileStatus(at: final) == nil {
        let building = Files.temporaryName(for: final)
        try Files.remove(building)
        try Files.createDirectories(building)
        for document in update.documents {
          try place(document, at: Files.join(building, document.id))
        }
        try Files.synchronizeFileSystem(of: building)
        try Files.rename(building, to: final)
        try Files.synchronizeDirectory(revisions)
      }
      try point(to: target(update.revision))
      try removeOthers(than: [target(update.revision), previous ?? ""])
    }
  }

  private func place(_ document: Document, at path: String) throws(FileError) {
    if document.id.contains("/") { try Files.createDirectories(Files.parent(path)) }
    if Glibc.link(document.path, path) == 0 { return }
    // Another file system, one without hard links, or a file with too many of them: a copy serves as well.
    let source = try OpenFile.reading(document.path)
    let copy = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o444)
    while true {
      let chunk = try source.read(upTo: 1 << 18)
      if chunk.isEmpty { return }
      try copy.write(chunk)
    }
  }

  /// A symbolic link cannot be changed, but one can be renamed over another.
  private func point(to target: String) throws(FileError) {
    let temporary = Files.temporaryName(for: link)
    try Files.remove(temporary)
    guard symlink(target, temporary) == 0 else { throw FileError("create symbolic link", temporary) }
    try Files.rename(temporary, to: link)
    try Files.synchronizeDirectory(directory)
  }

  /// The previous revision stays until the next one, for those who still have it open.
  private func removeOthers(than kept: [String]) throws(FileError) {
    for name in try Files.names(in: revisions) where !kept.contains("revisions/\(name)") {
      try Files.remove(Files.join(revisions, name))
    }
  }

  private static func destination(of link: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
      readlink(link, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
  }
}
