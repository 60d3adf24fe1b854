import CGit2

/// Takes in a pack and makes its index, in a directory of objects.
///
/// Sound to send: it is used by one task, for one piece at a time, on the thread of ``Objects``.
final class PackIndexer: @unchecked Sendable {
  private let indexer: OpaquePointer
  private var progress = git_indexer_progress()
  // The base objects of a thin pack are read from here.
  private let store: ObjectStore

  init(into directory: String, completing store: ObjectStore) throws(GitFailure) {
    self.store = store
    var options = git_indexer_options()
    try LibGit2.call("set up an index") { git_indexer_options_init(&options, UInt32(GIT_INDEXER_OPTIONS_VERSION)) }
    let database = store.database
    indexer = try LibGit2.make("write a pack in \(directory)") { git_indexer_new($0, directory, 0, database, &options) }
  }

  // git_indexer_free(3) removes what was not committed.
  deinit { git_indexer_free(indexer) }

  func append(_ bytes: [UInt8]) throws(GitFailure) {
    try LibGit2.call("take in the pack") { git_indexer_append(indexer, bytes, bytes.count, &progress) }
  }

  /// Resolves deltas, completes a thin pack with its bases, and puts pack and index in place.
  func commit() throws(GitFailure) {
    try LibGit2.call("complete the pack") { git_indexer_commit(indexer, &progress) }
  }
}
