import CGit2
import DesiredStateSupport
import FoundationEssentials
import Glibc

/// A file to put into a tree, or to take out of it.
struct TreeChange: Sendable {
  let path: String
  /// Nil removes it.
  let bytes: [UInt8]?
}

extension ObjectStore {
  /// Writes an object.
  func write(_ bytes: [UInt8], as type: git_object_t) throws(LibGit2Error) -> ObjectID {
    var id = git_oid()
    try LibGit2.call("write an object") { git_odb_write(&id, database, bytes, bytes.count, type) }
    return ObjectID(id)
  }

  /// Writes a tree: another one (or an empty one) with files changed.
  func tree(_ base: ObjectID?, changing changes: [TreeChange]) throws -> ObjectID {
    var baseline: OpaquePointer?
    if let base { baseline = try readTree(base) }
    defer { git_tree_free(baseline) }
    var updates: [git_tree_update] = []
    defer { for update in updates { free(UnsafeMutablePointer(mutating: update.path)) } }
    for change in changes {
      var update = git_tree_update()
      update.action = change.bytes == nil ? GIT_TREE_UPDATE_REMOVE : GIT_TREE_UPDATE_UPSERT
      if let bytes = change.bytes { update.id = try write(bytes, as: GIT_OBJECT_BLOB).git }
      update.filemode = GIT_FILEMODE_BLOB
      update.path = UnsafePointer(strdup(change.path))
      updates.append(update)
    }
    var id = git_oid()
    try LibGit2.call("write a tree") { git_tree_create_updated(&id, repository, baseline, updates.count, updates) }
    return ObjectID(id)
  }

  /// A commit's content, as it is signed.
  func commitContent(tree: ObjectID, parents: [ObjectID], author: CommitAuthor, message: String) -> [UInt8] {
    var text = "tree \(tree)\n"
    for parent in parents { text += "parent \(parent)\n" }
    text += "author \(author.line)\ncommitter \(author.line)\n\n\(message)"
    return Array(text.utf8)
  }

  /// Writes a commit, with an armored signature if there is one.
  func writeCommit(_ content: [UInt8], signature: [UInt8]?) throws(LibGit2Error) -> ObjectID {
    guard let signature else { return try write(content, as: GIT_OBJECT_COMMIT) }
    let text = String(decoding: content, as: UTF8.self)
    let armor = String(decoding: signature, as: UTF8.self).trimmingSuffix("\n")
    var id = git_oid()
    try LibGit2.call("write a signed commit") {
      // git_commit_create_with_signature(3): nil means the field 'gpgsig'.
      git_commit_create_with_signature(&id, repository, text, armor, nil)
    }
    return ObjectID(id)
  }
}

extension String {
  fileprivate func trimmingSuffix(_ end: Character) -> String {
    var text = self[...]
    while text.last == end { text.removeLast() }
    return String(text)
  }
}
