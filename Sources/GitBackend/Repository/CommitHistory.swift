import CGit2

/// Commits without what they hold, as far as they have been read: which is whose parent.
///
/// A commit is named by the digest of its content, parents and all. So the chain from a commit that is trusted to
/// another one cannot be made up by the server.
struct CommitHistory {
  private var parents: [ObjectID: [ObjectID]] = [:]

  var count: Int { parents.count }

  /// Adds a commit.
  mutating func add(_ content: [UInt8]) throws(LibGit2Error) {
    parents[try ObjectID(of: content, GIT_OBJECT_COMMIT)] = Self.parents(in: content)
  }

  /// git-hash-object(1) has no word for it: `tree` comes first, then a line for each parent.
  static func parents(in content: [UInt8]) -> [ObjectID] {
    var parents: [ObjectID] = []
    for line in content.split(separator: 10, omittingEmptySubsequences: false).dropFirst() {
      guard line.starts(with: "parent ".utf8),
        let id = ObjectID(String(decoding: line.dropFirst(7), as: UTF8.self))
      else { break }
      parents.append(id)
    }
    return parents
  }

  /// Looks for `ancestor` among the ancestors of `commit`.
  func ancestry(of commit: ObjectID, from ancestor: ObjectID) -> Ancestry {
    var seen: Set<ObjectID> = [commit]
    var next = [commit]
    var isCut = false
    while let id = next.popLast() {
      if id == ancestor { return .descends }
      guard let parents = parents[id] else {
        isCut = true
        continue
      }
      for parent in parents where seen.insert(parent).inserted { next.append(parent) }
    }
    return .unproven(isCut: isCut)
  }
}

extension ObjectID {
  init(of content: [UInt8], _ kind: PackObserver.Kind) throws(LibGit2Error) {
    let type =
      switch kind {
      case .commit: GIT_OBJECT_COMMIT
      case .tree: GIT_OBJECT_TREE
      case .blob: GIT_OBJECT_BLOB
      case .tag: GIT_OBJECT_TAG
      }
    try self.init(of: content, type)
  }

  /// The name of an object with this content.
  init(of content: [UInt8], _ type: git_object_t) throws(LibGit2Error) {
    var id = git_oid()
    try LibGit2.call("digest an object") { git_odb_hash(&id, content, content.count, type) }
    self.init(id)
  }
}
