import CGit2
import DesiredState
import DesiredStateSupport
import Glibc

/// A repository on this disk, read where it is: nothing is copied, and nothing that its configuration names is run.
final class LocalRepository: GitRepository {
  private let path: String
  private let source: String
  private let worker = Worker("desired-state.git.look")
  private let reading = Worker("desired-state.git.read")

  init(path: String, source: String) {
    self.path = path
    self.source = source
  }

  var channel: String? { nil }

  func target(of references: [String]) async throws -> ObjectID? {
    try await objects(on: worker).use { store in
      for reference in references {
        if let target = try store.target(of: reference) { return target }
      }
      return nil
    }
  }

  func objects(of target: ObjectID, history: HistoryDepth, limits: Limits) async throws -> AsyncObjectStore {
    try await objects(on: reading)
  }

  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws {
    try await Contention.untilMoved(reference, of: source) {
      let objects = try await objects(on: worker)
      let tip = try await objects.use { store in try store.target(of: reference).map { try store.commit($0) } }
      guard let new = try await make(objects, tip) else { return true }
      return try await objects.use { [source] store in
        // git's own rule (git-config(1), receive.denyCurrentBranch): whoever works there would undo it unknowingly.
        guard !store.hasWorkingTree || store.head != reference else {
          throw BackendError(
            .forbidden,
            "\(reference) is checked out in \(source); name a bare repository, or a branch that nobody works on")
        }
        do throws(LibGit2Error) {
          try store.move(reference, from: tip?.id, to: new)
          return true
        } catch {
          if error.isContention { return false }
          throw error
        }
      }
    }
  }

  /// Opened on the thread at every look, because a disk can be taken away, and kept for as long as somebody reads.
  private func objects(on reader: Worker) async throws -> AsyncObjectStore {
    let store = try await worker.run { [path, source] in
      do throws(LibGit2Error) { return try ObjectStore(repository: path) } catch { throw Self.unreachable(source, error) }
    }
    return AsyncObjectStore(store, worker: reader) { [source] in Self.unreachable(source, $0) }
  }

  private static func unreachable(_ source: String, _ error: LibGit2Error) -> BackendError {
    // libgit2 has no code for it and keeps the system's words.
    let isDenied = error.message.contains(String(cString: strerror(EACCES)))
    return BackendError(
      isDenied ? .forbidden : .unreachable, "\(source) cannot be used as a Git repository: \(error)",
      isRetryable: true, underlying: error)
  }
}

extension ObjectStore {
  /// Moves a reference, if it still is where it was.
  ///
  /// - Throws: ``GitFailure`` with `isContention` if it is not.
  func move(_ name: String, from old: ObjectID?, to new: ObjectID) throws(LibGit2Error) {
    var id = new.git
    let reference: OpaquePointer
    if let old {
      var current = old.git
      reference = try LibGit2.make("move \(name)") {
        // git_reference_create_matching(3): GIT_EMODIFIED if the reference is not at `current`.
        git_reference_create_matching($0, repository, name, &id, 1, &current, nil)
      }
    } else {
      reference = try LibGit2.make("create \(name)") { git_reference_create($0, repository, name, &id, 0, nil) }
    }
    git_reference_free(reference)
  }
}
