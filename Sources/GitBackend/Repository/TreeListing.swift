import CGit2
import DesiredState
import DesiredStateSupport

/// An entry of a tree.
struct TreeEntry: Sendable {
  /// The path below the tree that was listed.
  let path: String
  let id: ObjectID
  let mode: git_filemode_t

  /// The last part of the path.
  var name: Substring { path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...] }
  var isFile: Bool { mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE }
}

/// A tree that was read once, to look for many names in it: git keeps the list of a folder as a whole, and reading it anew for
/// each of thousands of documents takes thousands of times as long.
///
/// Sound to send: libgit2 has read it into memory that does not change and outlives the repository's handle.
final class OpenTree: @unchecked Sendable {
  private let tree: OpaquePointer

  /// Takes over a tree of libgit2's, and frees it in the end.
  init(_ tree: OpaquePointer) { self.tree = tree }

  deinit { git_tree_free(tree) }

  /// The entry with a name; nil if there is none.
  func entry(named name: String) -> TreeEntry? {
    // git_tree_entry_byname(3): it belongs to the tree.
    git_tree_entry_byname(tree, name).map {
      TreeEntry(path: name, id: ObjectID(git_tree_entry_id($0)), mode: git_tree_entry_filemode($0))
    }
  }
}

extension ObjectStore {
  /// The bytes that a tree may have: 100,000 entries with long names. libgit2 reads all of it into memory.
  private static let largestTree = 32 << 20

  /// A tree of libgit2's, for the caller to free.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded`; ``LibGit2Error``.
  func readTree(_ id: ObjectID) throws -> OpaquePointer {
    guard try header(of: id).size <= Self.largestTree else {
      throw VerificationError(.limitExceeded, "tree \(id) is longer than \(Self.largestTree) bytes")
    }
    var oid = id.git
    return try LibGit2.make("read tree \(id)") { git_tree_lookup($0, repository, &oid) }
  }

  /// The entry at a path below a tree; nil if there is none.
  func entry(at path: String, below tree: ObjectID) throws -> TreeEntry? {
    let tree = try readTree(tree)
    defer { git_tree_free(tree) }
    do throws(LibGit2Error) {
      let entry: OpaquePointer = try LibGit2.make("look for '\(path)'") { git_tree_entry_bypath($0, tree, path) }
      defer { git_tree_entry_free(entry) }
      return TreeEntry(path: path, id: ObjectID(git_tree_entry_id(entry)), mode: git_tree_entry_filemode(entry))
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
  }

  /// The entries of one tree, in the order git keeps them.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded` if there are more than `limit`, or `unsafe-document-id` if a
  ///   name is one that git itself would not check out.
  func entries(of id: ObjectID, below prefix: String = "", limit: Int = .max) throws -> [TreeEntry] {
    let tree = try readTree(id)
    defer { git_tree_free(tree) }
    let count = git_tree_entrycount(tree)
    guard count <= limit else {
      throw VerificationError(.limitExceeded, "the tree has more entries than the documents allowed")
    }
    // Names that only differ in how an accent is written are one name to people, to Swift and to some file systems.
    var seen: Set<String> = []
    func refusal(_ name: String, _ reason: String) -> VerificationError {
      VerificationError(
        .unsafeDocumentID,
        "the tree \(prefix.isEmpty ? "" : "'\(prefix)' ")has an entry named \(quoted(name)), \(reason)"
      )
    }
    return try (0..<count).map { index in
      let entry = git_tree_entry_byindex(tree, index)
      guard let bytes = git_tree_entry_name(entry), let name = String(validatingCString: bytes) else {
        throw refusal(git_tree_entry_name(entry).map { String(cString: $0) } ?? "", "which is not in UTF-8; rename it")
      }
      if name.isEmpty || name == "." || name == ".." || name.utf8.contains(UInt8(ascii: "/"))
        || name.lowercased() == ".git"
      {
        throw refusal(name, "which no honest one has")
      }
      guard seen.insert(name).inserted else {
        throw refusal(name, "and another one of the same name, or one that looks the same; rename one")
      }
      return TreeEntry(
        path: prefix.isEmpty ? name : "\(prefix)/\(name)", id: ObjectID(git_tree_entry_id(entry)),
        mode: git_tree_entry_filemode(entry))
    }
  }

  /// The documents of a plain tree: every file below it whose path has no hidden part.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded`, `unsafe-document-id`, or `manifest-malformed` for a symbolic
  ///   link or a submodule, which are not documents and stand for something that is elsewhere.
  func documents(below tree: ObjectID, limits: Limits) throws -> [TreeEntry] {
    var documents: [TreeEntry] = []
    var trees = [(id: tree, path: "", depth: 0)]
    // Of everything that is looked at, so that a small tree that is in itself a million times has an end.
    var remaining = limits.documentCount
    while let (id, path, depth) = trees.popLast() {
      let entries = try entries(of: id, below: path, limit: remaining)
      remaining -= entries.count
      for entry in entries where !DropLayout.isHidden(String(entry.name)) {
        switch entry.mode {
        case _ where entry.isFile: documents.append(entry)
        case GIT_FILEMODE_TREE:
          guard depth < 64 else {
            throw VerificationError(.limitExceeded, "the tree is deeper than 64 directories")
          }
          trees.append((entry.id, entry.path, depth + 1))
        case GIT_FILEMODE_LINK:
          throw refusal(entry, "is a symbolic link; put the file itself there")
        case GIT_FILEMODE_COMMIT:
          throw refusal(entry, "is a submodule; put the files themselves there")
        default:
          throw refusal(entry, "is neither a file nor a directory")
        }
      }
    }
    return documents.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
  }

  private func refusal(_ entry: TreeEntry, _ reason: String) -> VerificationError {
    VerificationError(
      .manifestMalformed, "\(quoted(entry.path, limit: 120)) in the tree \(reason)",
      evidence: ["tree entry \(entry.id)"])
  }
}
