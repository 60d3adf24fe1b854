package import DesiredState
import DesiredStateSupport
package import FoundationEssentials

/// A branch that is published on: a commit on top of it, pushed, without a working tree.
package struct GitBranch: Sendable {
  private let repository: any GitRepository
  private let branch: String
  private let path: String
  private let author: CommitAuthor.Person?
  /// The repository with what is published in it, without a user's name.
  package let source: String

  /// - Parameter address: as a source's, with `ref=` naming a branch, which need not exist yet, and `path=` a folder.
  /// - Throws: ``SourceAddressError`` if the address or a setting cannot be used.
  package init(_ address: SourceAddress, context: BackendContext) throws {
    guard let name = address.query["ref"] else {
      throw SourceAddressError("name the branch to publish on, with '?ref=main'")
    }
    let address = try GitAddress(address)
    guard case .names(let names) = address.reference, let branch = names.first, branch.hasPrefix("refs/heads/") else {
      throw SourceAddressError("'ref=\(name)' does not name a branch, and only a branch can be published on")
    }
    self.branch = branch
    path = address.path
    author = try CommitAuthor.Person(settings: context.settings)
    source = address.source
    repository = try GitBackend.repository(address, context, for: "publish")
  }

  /// Whether an address names a repository.
  package static func serves(_ address: String) -> Bool {
    (try? SourceAddress(address)).flatMap { GitAddress.Scheme(rawValue: $0.scheme) } != nil
  }

  /// Commits what `edit` makes of the folder, and pushes it. If another publisher was first, all of it is done again on
  /// top of theirs.
  ///
  /// - Parameters:
  ///   - time: when the commit is made.
  ///   - sign: an armored SSH signature over a commit, in the namespace `git`; nil leaves it unsigned.
  ///   - isIncluded: which names at the top of the folder are handed to `edit`; the others stay as they are.
  ///   - edit: is given a directory with the folder as it is published now, changes it, and returns the commit's message.
  /// - Throws: what `edit` and `sign` throw; ``BackendError``; ``FileError``; `CancellationError`.
  package func commit(
    at time: Date, sign: (@Sendable ([UInt8]) async throws -> [UInt8])?,
    including isIncluded: @escaping @Sendable (String) -> Bool,
    _ edit: @escaping @Sendable (String) async throws -> String
  ) async throws {
    let author = CommitAuthor(author ?? .configured ?? .init(name: "desired-state"), time: time)
    try await repository.advance(branch) { [path] objects, tip in
      let directory = try Files.temporaryDirectory("desired-state-publish")
      defer { try? Files.remove(directory) }
      let folder = PublishedFolder(directory: directory, path: path)
      try await withTaskCancellationHandler {
        try await objects.use { try folder.export($0, below: tip?.tree, including: isIncluded) }
      } onCancel: {
        folder.cancel()
      }
      let message = try await edit(directory)
      let content = try await objects.use { store -> [UInt8]? in
        let changes = try folder.changes()
        guard !changes.isEmpty else { return nil }
        let tree = try store.tree(tip?.tree, changing: changes)
        return store.commitContent(
          tree: tree, parents: tip.map { [$0.id] } ?? [], author: author, message: message + "\n")
      }
      guard let content else { return nil }
      let signature = try await sign?(content)
      return try await objects.use { try $0.writeCommit(content, signature: signature) }
    }
  }
}
