import CGit2
import DesiredState

extension ObjectStore {
  /// The files and trees in a tree, without their names.
  func names(in tree: ObjectID) throws -> [(id: ObjectID, isTree: Bool)] {
    let tree = try readTree(tree)
    defer { git_tree_free(tree) }
    return (0..<git_tree_entrycount(tree)).compactMap { index in
      let entry = git_tree_entry_byindex(tree, index)
      let mode = git_tree_entry_filemode(entry)
      // The commit of a submodule is in another repository.
      guard mode != GIT_FILEMODE_COMMIT else { return nil }
      return (ObjectID(git_tree_entry_id(entry)), mode == GIT_FILEMODE_TREE)
    }
  }

  /// Whether a commit is here with all of its trees, whatever files are.
  func holdsTrees(of target: ObjectID) throws -> Bool {
    guard holds(target), case let commit = try peel(target).commit else { return false }
    var seen: Set<ObjectID> = [commit.tree]
    var next = [commit.tree]
    while let tree = next.popLast() {
      guard holds(tree) else { return false }
      for entry in try names(in: tree) where entry.isTree && seen.insert(entry.id).inserted { next.append(entry.id) }
    }
    return true
  }

  /// The files at a path that say who signed what, as far as they are not here: of a drop the manifest, the signatures and
  /// the trust updates; of a plain tree the trust updates.
  func missingEvidence(of target: ObjectID, at path: String, limits: Limits) throws -> [ObjectID] {
    let root = try peel(target).commit.tree
    var found = Parts(limits)
    try found.add(at: String(DropLayout.plainTrust.dropLast()), below: root, self)
    if let folder = try tree(at: path, below: root) {
      let manifest = try entry(at: DropLayout.manifest, below: folder)
      if let manifest, manifest.isFile {
        found.add(manifest.id)
        for name in [DropLayout.signatures, DropLayout.trust] { try found.add(at: name, below: folder, self) }
      }
    }
    return found.files.filter { !holds($0) }
  }

  /// All files at a path that are not here, and the trust updates of a plain tree.
  func missingFiles(of target: ObjectID, at path: String, limits: Limits) throws -> [ObjectID] {
    let root = try peel(target).commit.tree
    var found = Parts(limits)
    try found.add(at: String(DropLayout.plainTrust.dropLast()), below: root, self)
    try found.add(at: path, below: root, self)
    return found.files.filter { !holds($0) }
  }

  /// The tree at a path; nil if there is something else, or nothing.
  func tree(at path: String, below root: ObjectID) throws -> ObjectID? {
    guard !path.isEmpty else { return root }
    guard let entry = try entry(at: path, below: root), entry.mode == GIT_FILEMODE_TREE else { return nil }
    return entry.id
  }

  /// Files of trees, each once, in the order of the trees.
  private struct Parts {
    private(set) var files: [ObjectID] = []
    private var seen: Set<ObjectID> = []
    private var remaining: Int

    init(_ limits: Limits) { remaining = Int(PackLimiter.Bounds(limits).objectCount) }

    mutating func add(_ file: ObjectID) { if seen.insert(file).inserted { files.append(file) } }

    /// Everything below a path, if it leads to a tree.
    mutating func add(at path: String, below root: ObjectID, _ store: ObjectStore) throws {
      guard let tree = try store.tree(at: path, below: root) else { return }
      var next = [tree]
      seen.insert(tree)
      while let tree = next.popLast() {
        let entries = try store.names(in: tree)
        remaining -= entries.count
        guard remaining >= 0 else {
          throw VerificationError(.limitExceeded, "the tree has more entries than the documents allowed")
        }
        for entry in entries {
          if entry.isTree {
            if seen.insert(entry.id).inserted { next.append(entry.id) }
          } else {
            add(entry.id)
          }
        }
      }
    }
  }
}
