import DesiredState

/// A repository that is looked at: on this disk, or at the other end of a road.
protocol GitRepository: Sendable {
  /// What proved who the other end is, in words; nil if nothing did.
  var channel: String? { get }

  /// What the first of these references that exists leads to, a commit or a tag; nil if none exists.
  ///
  /// - Throws: ``BackendError``; `CancellationError`.
  func target(of references: [String]) async throws -> ObjectID?

  /// The objects of a target: all of its commit's tree, and of its history what `history` asks for.
  ///
  /// - Throws: ``BackendError``; ``VerificationError`` with `limit-exceeded`; `CancellationError`.
  func objects(of target: ObjectID, history: HistoryDepth, limits: Limits) async throws -> AsyncObjectStore

  /// Moves a branch to a new commit, made by `make` from the one it leads to now (nil if there is none yet), and starts
  /// over when somebody else moved it meanwhile.
  ///
  /// - Parameter make: writes the objects of the new commit and returns its id; nil leaves everything as it is.
  /// - Throws: what `make` throws; ``BackendError``; `CancellationError`.
  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws
}

/// How much of a target's history is wanted.
enum HistoryDepth: Sendable {
  /// None.
  case nothing
  /// What shows that it descends from an adopted commit, if that can be had cheaply: what is newer than it.
  case since(GitMarker)
  /// The same, if the cheap way did not show it: so many generations.
  case generations(GitMarker, count: Int)

  /// How many generations are looked through for the adopted commit, one after the other.
  static let generations = [256, 4096]
}
