import CGit2
import Synchronization

/// Takes in a pack and makes its index, in a directory of objects.
///
/// Sound to send: it is used by one task, for one piece at a time, on the thread of ``Objects``.
final class PackIndexer: @unchecked Sendable {
  private let indexer: OpaquePointer
  private var progress = git_indexer_progress()
  // The base objects of a thin pack are read from here.
  private let store: ObjectStore
  /// Whether its result is not wanted any more. Completing a pack is one call, which may take long.
  private let isCancelled = Cancelled()

  private final class Cancelled: Sendable {
    let flag = Atomic(false)
  }

  init(into directory: String, completing store: ObjectStore) throws(LibGit2Error) {
    self.store = store
    var options = git_indexer_options()
    try LibGit2.call("set up an index") { git_indexer_options_init(&options, UInt32(GIT_INDEXER_OPTIONS_VERSION)) }
    // git_indexer_progress_cb(3): called for each object; anything but 0 ends it. The payload lives as long as the indexer.
    options.progress_cb = { _, payload in
      guard let payload else { return 0 }
      let cancelled = Unmanaged<Cancelled>.fromOpaque(payload).takeUnretainedValue()
      return cancelled.flag.load(ordering: .relaxed) ? GIT_EUSER.rawValue : 0
    }
    options.progress_cb_payload = Unmanaged.passUnretained(isCancelled).toOpaque()
    let database = store.database
    indexer = try LibGit2.make("write a pack in \(directory)") { git_indexer_new($0, directory, 0, database, &options) }
  }

  // git_indexer_free(3) removes an uncommitted pack.
  deinit { git_indexer_free(indexer) }

  /// Ends the running work, from any thread.
  func cancel() { isCancelled.flag.store(true, ordering: .relaxed) }

  func append(_ bytes: [UInt8]) throws(LibGit2Error) {
    try LibGit2.call("take in the pack") { git_indexer_append(indexer, bytes, bytes.count, &progress) }
  }

  /// Resolves deltas, completes a thin pack with its bases, and puts pack and index in place.
  func commit() throws(LibGit2Error) {
    try LibGit2.call("complete the pack") { git_indexer_commit(indexer, &progress) }
  }

  /// The name of the pack that was put in place: `pack-<name>.pack`.
  var name: String? { git_indexer_name(indexer).map { String(cString: $0) } }
}
