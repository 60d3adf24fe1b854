import CGit2
import DesiredState
import DesiredStateSupport
import Glibc

/// A repository on this disk, read where it is: nothing is copied, and nothing that its configuration names is run.
final class LocalRepository: GitRepository {
  private let path: String
  private let source: String
  private let worker = Worker("desired-state.git.poll")
  private let reading = Worker("desired-state.git.read")

  init(path: String, source: String) {
    self.path = path
    self.source = source
  }

  func reload() {}

  /// Everything is where it is read.
  func complete(_ target: ObjectID, limits: Limits) async throws {}

  var unfinished: String? { nil }

  func stop() {}

  var channel: String? { nil }

  func references(_ query: ReferenceQuery) async throws -> [String: ObjectID] {
    try await objects(on: worker) { directory in
      if case .names(let names) = query {
        try directory.check(references: names)
      } else {
        try directory.checkReferences()
      }
    }.use { store in
      var found: [String: ObjectID] = [:]
      switch query {
      case .names(let names): for name in names { found[name] = try store.target(of: name) }
      case .prefix(let prefix):
        for name in try store.references(beginningWith: prefix) { found[name] = try store.target(of: name) }
      }
      return found
    }
  }

  func objects(
    of target: ObjectID, after adopted: ObjectID?, gate: CommitGate?, limits: Limits
  ) async throws -> AsyncObjectStore {
    let objects = try await objects(on: reading) { try $0.checkObjects() }
    guard try await objects.use({ $0.holds(target) }) else {
      throw BackendError(.unreachable, "\(source) has no object \(target)", underlying: MissingObject())
    }
    return objects
  }

  func ancestry(of commit: ObjectID, parents: [ObjectID]?, from ancestor: ObjectID) async throws -> Ancestry {
    if commit == ancestor || parents?.contains(ancestor) == true { return .descends }
    return try await objects(on: reading) { try $0.checkObjects() }.use { [source] store in
      guard store.holds(commit) else { throw BackendError(.unreachable, "\(source) has no commit \(commit)") }
      return try store.ancestry(of: commit, from: ancestor)
    }
  }

  /// Nothing was copied.
  func discard(_ target: ObjectID) async throws {}

  /// Nothing was copied.
  func tidy(keeping needed: [ObjectID]) async throws {}

  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws {
    try await retryingOnConflict(reference, of: source) {
      let objects = try await objects(on: worker) {
        try $0.check(references: [reference])
        try $0.checkObjects()
      }
      let tip = try await objects.use { store in try store.target(of: reference).map { try store.commit($0) } }
      guard let new = try await make(objects, tip) else { return true }
      return try await objects.use { [source] store in
        // git's own rule (git-config(1), receive.denyCurrentBranch): who works there would undo it unknowingly.
        guard !store.hasWorkingTree || store.head != reference else {
          throw BackendError(
            .forbidden,
            "\(reference) is checked out in \(source); name a bare repository, or a branch that is not worked on")
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

  /// Opened on the thread at every poll, because a disk can be taken away, and kept for as long as it is read.
  ///
  /// - Parameter check: looks at the files that libgit2 will open, before it does.
  private func objects(
    on reader: Worker, _ check: @escaping @Sendable (RepositoryDirectory) throws -> Void
  ) async throws -> AsyncObjectStore {
    let store = try await worker.run { [path, source] in
      do {
        let directory = try RepositoryDirectory(path)
        try check(directory)
        return try ObjectStore(repository: directory)
      } catch let error as LibGit2Error {
        throw Self.unreachable(source, error)
      } catch let error as RepositoryDirectory.Refusal {
        throw BackendError(error.code, "\(source) cannot be used as a Git repository: \(error.message)")
      }
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
  /// - Throws: ``LibGit2Error`` with `isContention` if it is not.
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
