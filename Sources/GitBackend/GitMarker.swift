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
  /// The full name under which it was found.
  let reference: String
  /// Some of the commits that it descends from, the nearest first: a mirror that shows one of them is only behind.
  let ancestors: [ObjectID]

  /// - Parameter before: where the device stood before, if the commit follows on that.
  init(_ found: GitReference.Found, commit: Commit, revision: Revision, before: GitMarker?) {
    target = found.target
    self.commit = commit.id
    time = commit.time
    self.revision = revision
    reference = found.name
    var ancestors: [ObjectID] = []
    for id in commit.parents + (before.map { [$0.commit] + $0.ancestors } ?? [])
    where id != commit.id && !ancestors.contains(id) {
      ancestors.append(id)
    }
    self.ancestors = Array(ancestors.prefix(16))
  }

  /// Nil if the text is not one that this backend wrote.
  init?(_ text: String) {
    let parts = text.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count >= 5, let target = ObjectID(parts[0]), let commit = ObjectID(parts[1]),
      let time = Int64(parts[2]), let digest = try? Digest(parsing: String(parts[3]))
    else { return nil }
    self.target = target
    self.commit = commit
    self.time = time
    revision = Revision(digest)
    reference = String(parts[4])
    ancestors = parts.dropFirst(5).compactMap { ObjectID($0) }
  }

  var text: String {
    (["\(target)", "\(commit)", "\(time)", "\(revision)", reference] + ancestors.map(\.hexadecimal))
      .joined(separator: " ")
  }
}
