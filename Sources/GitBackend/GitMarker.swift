import DesiredState

/// Where a device stands in a repository: what a ``FetchResult/marker`` of this backend says.
///
/// The store gives it back with the next request, across restarts, so that the commit that was adopted is known even if
/// everything that can be fetched again is gone.
struct GitMarker: Sendable, Equatable {
  /// What the reference led to: a commit, or an annotated tag.
  let target: ObjectID
  /// The commit.
  let commit: ObjectID
  /// When it was committed, in seconds since 1970.
  let time: Int64
  /// The state it published.
  let revision: Revision

  init(target: ObjectID, commit: Commit, revision: Revision) {
    self.target = target
    self.commit = commit.id
    time = commit.time
    self.revision = revision
  }

  /// Nil if the text is none that this backend wrote.
  init?(_ text: String) {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 4, let target = ObjectID(parts[0]), let commit = ObjectID(parts[1]),
      let time = Int64(parts[2]), let digest = try? Digest(parsing: String(parts[3]))
    else { return nil }
    self.target = target
    self.commit = commit
    self.time = time
    revision = Revision(digest)
  }

  var text: String { "\(target) \(commit) \(time) \(revision)" }
}
