/// How a commit stands to the one that was adopted.
enum Succession: Sendable, Equatable {
  /// None was adopted, or their order does not matter (`history=any`).
  case free
  /// It descends from the adopted commit.
  case follows
  /// The adopted commit descends from it, or the repository does not know the adopted commit, which is newer.
  case behind(adopted: ObjectID)
  /// It was found not to descend from the adopted commit; whether all of its history was looked at, is told.
  case rewritten(adopted: ObjectID, isCut: Bool)

  /// Asks a repository how a commit, whose objects are here, stands to the adopted one.
  static func of(_ commit: Commit, after adopted: GitMarker?, in repository: any GitRepository) async throws -> Self {
    guard let adopted else { return .free }
    guard
      case .unproven(let isCut) = try await repository.ancestry(
        of: commit.id, parents: commit.parents, from: adopted.commit)
    else { return .follows }
    if adopted.ancestors.contains(commit.id) { return .behind(adopted: adopted.commit) }
    switch try? await repository.ancestry(of: adopted.commit, parents: nil, from: commit.id) {
    case .descends: return .behind(adopted: adopted.commit)
    case .unproven: return .rewritten(adopted: adopted.commit, isCut: isCut)
    // A mirror that is behind has not heard of the adopted commit, and its own is not newer.
    case nil:
      try Task.checkCancellation()
      return commit.time <= adopted.time
        ? .behind(adopted: adopted.commit) : .rewritten(adopted: adopted.commit, isCut: isCut)
    }
  }
}
