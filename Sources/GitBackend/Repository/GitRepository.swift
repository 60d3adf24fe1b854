import DesiredState

/// A repository that is followed: on this disk, or at the other end of a transport.
protocol GitRepository: Sendable {
  /// What proved who the other end is, in words; nil if nothing did.
  var channel: String? { get }

  /// Reads the files of its settings again, and connects anew.
  func reload()

  /// What the references lead to, commits or tags, by their full names; those that do not exist are left out.
  ///
  /// - Throws: ``BackendError``; `CancellationError`.
  func references(_ query: ReferenceQuery) async throws -> [String: ObjectID]

  /// The objects of a target: its commit and the trees, with what is signed at the path, and nothing of its history.
  ///
  /// - Parameter gate: weighs the commit before its contents are fetched.
  /// - Throws: ``BackendError``; ``VerificationError``, with `limit-exceeded` or what the gate throws; `CancellationError`.
  func objects(
    of target: ObjectID, after adopted: ObjectID?, gate: CommitGate?, limits: Limits
  ) async throws -> AsyncObjectStore

  /// Brings the files of a target whose ``objects(of:after:gate:limits:)`` were brought before, as far as they are missing.
  ///
  /// - Throws: as that does.
  func complete(_ target: ObjectID, limits: Limits) async throws

  /// What came of a fetch that goes on although the poll is over, in words; nil if none does.
  var unfinished: String? { get }

  /// Ends what goes on between polls.
  func stop()

  /// How a commit stands to an older one.
  ///
  /// - Parameter parents: those of the commit, if they are known.
  /// - Throws: ``BackendError``, also if the repository does not have the commit; `CancellationError`.
  func ancestry(of commit: ObjectID, parents: [ObjectID]?, from ancestor: ObjectID) async throws -> Ancestry

  /// Lets go of a target that is refused, if it was fetched.
  func discard(_ target: ObjectID) async throws

  /// Lets go of what is not needed any more. It comes last: until an order is proven, what proves it is kept.
  func tidy(keeping needed: [ObjectID]) async throws

  /// Moves a branch to a new commit, made by `make` from the one it leads to now (nil if there is none yet), and starts
  /// over when another client moved it meanwhile.
  ///
  /// - Parameter make: writes the objects of the new commit and returns its id; nil leaves everything as it is.
  /// - Throws: what `make` throws; ``BackendError``; `CancellationError`.
  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws
}

/// How a commit stands to an older one.
enum Ancestry: Sendable, Equatable {
  /// The older one is among its ancestors, or is the same.
  case descends
  /// It is not among the ancestors that were looked at. Whether there are more, is told.
  case unproven(isCut: Bool)
}

/// Weighs a commit by its signatures, before its trees and files are here.
struct CommitGate: Sendable {
  /// The full name under which the commit was found.
  let reference: String
  /// Where the documents are in its tree.
  let path: String
  /// Where in its tree the trust update is that the device would follow next. A commit that has it is weighed after
  /// that: its signer may be one that only the update lets sign.
  let trustUpdate: String
  /// Throws if a plain tree of this commit would be refused. A drop is not, because its manifest is signed.
  let weigh: @Sendable (TargetSignatures) throws -> Void
}

extension CommitGate {
  /// Whether a commit has the next trust update in its tree.
  func isTrustUpdated(_ objects: ObjectStore, _ commit: Commit) throws -> Bool {
    try objects.entry(at: trustUpdate, below: commit.tree) != nil
  }
}
