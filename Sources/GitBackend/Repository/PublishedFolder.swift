import CGit2
import DesiredState
import DesiredStateSupport
import Glibc
import Synchronization

/// The folder of a drop in a repository, as a directory in which the next version is made.
///
/// The documents that are published are not copied: an empty file stands for each, and what is written over it counts. So
/// a repository that expands beyond reason costs a name for each entry, as many as a state may have.
///
/// Sound to send: it is used by one thread at a time; only ``cancel()`` is for all.
final class PublishedFolder: @unchecked Sendable {
  private struct Entry {
    let id: ObjectID
    /// Which file stands for it; nil if the file has the content.
    let placeholder: UInt64?
  }
  private let directory: String
  private let path: String
  private let limits = Limits()
  private var entries: [String: Entry] = [:]
  private let isCancelled = Atomic(false)

  /// - Parameters:
  ///   - directory: where it is made, empty.
  ///   - path: where it is in the repository.
  init(directory: String, path: String) {
    self.directory = directory
    self.path = path
  }

  /// Ends ``export(_:below:including:)`` soon, from any thread.
  func cancel() { isCancelled.store(true, ordering: .relaxed) }

  /// Makes the files: those that are included at its top, and all below them.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded`; ``BackendError``; ``FileError``; `CancellationError`.
  func export(_ store: ObjectStore, below root: ObjectID?, including isIncluded: (String) -> Bool) throws {
    guard let root, let folder = try folder(below: root, store) else { return }
    var trees = [(id: folder, path: "", depth: 0)]
    var remaining = 3 * limits.documentCount
    var text = 2 * limits.manifestSize
    while let (id, path, depth) = trees.popLast() {
      let children = try store.entries(of: id, below: path, limit: remaining)
      remaining -= children.count
      for entry in children {
        guard !isCancelled.load(ordering: .relaxed) else { throw CancellationError() }
        guard !path.isEmpty || isIncluded(entry.path) else { continue }
        if entry.mode == GIT_FILEMODE_TREE {
          guard depth < 8 else {
            throw VerificationError(.limitExceeded, "what is published at '\(self.path)' is deeper than a drop")
          }
          trees.append((entry.id, entry.path, depth + 1))
        } else if entry.isFile {
          try export(entry, of: store, remaining: &text)
        }
      }
    }
  }

  private func folder(below root: ObjectID, _ store: ObjectStore) throws -> ObjectID? {
    var folder = root
    for name in path.split(separator: "/") {
      guard let entry = try store.entry(at: String(name), below: folder) else { return nil }
      guard entry.mode == GIT_FILEMODE_TREE else {
        throw BackendError(
          .forbidden, "'path=\(path)' leads through '\(name)', which is not a directory in the repository")
      }
      folder = entry.id
    }
    return folder
  }

  private func export(_ entry: TreeEntry, of store: ObjectStore, remaining: inout Int) throws {
    let file = Files.join(directory, entry.path)
    try Files.createDirectories(Files.parent(file))
    // Of a drop that is the folder, or is in it.
    let isContent = entry.path.split(separator: "/").dropLast().contains {
      $0 == DropLayout.documents || $0 == DropLayout.bundles
    }
    if isContent {
      try Files.replace(file, with: [], isDurable: false)
    } else {
      let bytes = try store.file(entry, limit: remaining, otherwise: .manifestMalformed)
      remaining -= bytes.count
      try Files.replace(file, with: bytes, isDurable: false)
    }
    entries[entry.path] = Entry(id: entry.id, placeholder: isContent ? inode(of: file) : nil)
  }

  private func inode(of file: String) -> UInt64? {
    var buffer = stat()
    return lstat(file, &buffer) == 0 ? UInt64(buffer.st_ino) : nil
  }

  /// What has to change in the repository for the folder to be as the directory is.
  func changes() throws -> [TreeChange] {
    func full(_ name: String) -> String { path.isEmpty ? name : "\(path)/\(name)" }
    var changes: [TreeChange] = []
    var gone = entries
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Files.names(in: Files.join(directory, folder)).sorted() where !DropLayout.isHidden(name) {
        let name = folder.isEmpty ? name : "\(folder)/\(name)"
        let file = Files.join(directory, name)
        if Files.isDirectory(file) {
          folders.append(name)
          continue
        }
        gone[name] = nil
        if let placeholder = entries[name]?.placeholder, placeholder == inode(of: file) { continue }
        guard let bytes = try Files.read(file, limit: .max - 1) else { continue }
        if entries[name]?.id != (try ObjectID(of: bytes, GIT_OBJECT_BLOB)) {
          changes.append(TreeChange(path: full(name), bytes: bytes))
        }
      }
    }
    return changes + gone.keys.sorted().map { TreeChange(path: full($0), bytes: nil) }
  }
}
