import CGit2
package import DesiredState
import DesiredStateSupport
package import FoundationEssentials

/// A branch that is published on: a commit on top of it, pushed, without a working tree.
package struct GitBranch: Sendable {
  private let repository: any GitRepository
  private let branch: String
  private let path: String
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
    source = address.source
    repository = try GitBackend.repository(address, context, for: "publish")
  }

  /// Whether an address is one of a repository.
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
    let author = CommitAuthor(name: "desired-state", time: time)
    try await repository.advance(branch) { [path] objects, tip in
      let directory = try Files.temporaryDirectory("desired-state-publish")
      defer { try? Files.remove(directory) }
      let before = try await objects.use {
        try $0.export(below: tip?.tree, at: path, including: isIncluded, to: directory)
      }
      let message = try await edit(directory)
      let content = try await objects.use { store -> [UInt8]? in
        let changes = try store.changes(in: directory, since: before, at: path)
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

extension ObjectStore {
  /// Writes the files of a folder into a directory: what is included at its top, and all below that.
  ///
  /// - Returns: the blobs by their paths below the folder.
  fileprivate func export(
    below root: ObjectID?, at path: String, including isIncluded: (String) -> Bool, to directory: String
  ) throws -> [String: ObjectID] {
    guard let root else { return [:] }
    var folder = root
    for name in path.split(separator: "/") {
      guard let entry = try entry(at: String(name), below: folder) else { return [:] }
      guard entry.mode == GIT_FILEMODE_TREE else {
        throw BackendError(
          .forbidden, "'path=\(path)' leads through '\(name)', which is no directory in the repository")
      }
      folder = entry.id
    }
    var blobs: [String: ObjectID] = [:]
    var trees = [(id: folder, path: "")]
    while let (id, path) = trees.popLast() {
      for entry in try entries(of: id, below: path) {
        guard !path.isEmpty || isIncluded(entry.path) else { continue }
        if entry.mode == GIT_FILEMODE_TREE {
          trees.append((entry.id, entry.path))
        } else if entry.isFile {
          let file = Files.join(directory, entry.path)
          try Files.createDirectories(Files.parent(file))
          try Files.replace(file, with: try read(entry.id), isDurable: false)
          blobs[entry.path] = entry.id
        }
      }
    }
    return blobs
  }

  /// What has to change in the tree for the folder to be as it is in a directory.
  fileprivate func changes(
    in directory: String, since before: [String: ObjectID], at path: String
  ) throws -> [TreeChange] {
    func full(_ name: String) -> String { path.isEmpty ? name : "\(path)/\(name)" }
    var changes: [TreeChange] = []
    var gone = before
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Files.names(in: Files.join(directory, folder)).sorted() where !DropLayout.isHidden(name) {
        let name = folder.isEmpty ? name : "\(folder)/\(name)"
        let file = Files.join(directory, name)
        if Files.isDirectory(file) {
          folders.append(name)
          continue
        }
        guard let bytes = try Files.read(file, limit: .max - 1) else { continue }
        gone[name] = nil
        var id = git_oid()
        try LibGit2.call("digest a file") { git_odb_hash(&id, bytes, bytes.count, GIT_OBJECT_BLOB) }
        if before[name] != ObjectID(id) { changes.append(TreeChange(path: full(name), bytes: bytes)) }
      }
    }
    return changes + gone.keys.sorted().map { TreeChange(path: full($0), bytes: nil) }
  }
}
