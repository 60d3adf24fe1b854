import CGit2
package import DesiredState
package import FoundationEssentials

/// Publishes a drop in a repository: a commit on top of a branch, pushed, without a working tree.
package struct GitPublisher: Sendable {
  private let repository: any GitRepository
  private let branch: String
  private let path: String
  /// The repository with what is published in it, without a user's name.
  package let source: String

  /// - Parameter address: as a source's, with `ref=` naming a branch, which need not exist yet, and `path=` the drop.
  /// - Throws: ``SourceAddressError`` if the address or a setting cannot be used.
  package init(_ address: SourceAddress, context: BackendContext) throws {
    guard let name = address.query["ref"] else {
      throw SourceAddressError("name the branch to publish on, with '?ref=main'")
    }
    let address = try GitAddress(address)
    guard let branch = address.references.first, branch.hasPrefix("refs/heads/") else {
      throw SourceAddressError("'ref=\(name)' is no branch, and only a branch can be published on")
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

  /// Commits what `write` makes of the drop, and pushes it. If somebody else was first, all of it is done again on top
  /// of theirs.
  ///
  /// - Parameters:
  ///   - time: when the commit is made.
  ///   - sign: an armored SSH signature over a commit, in the namespace `git`; nil leaves it unsigned.
  ///   - write: is given a directory with the drop as it is published now, changes it, and returns the commit's message.
  /// - Throws: what `write` and `sign` throw; ``BackendError``; ``FileError``; `CancellationError`.
  package func publish(
    at time: Date, sign: (@Sendable ([UInt8]) async throws -> [UInt8])?,
    _ write: @escaping @Sendable (String) async throws -> String
  ) async throws {
    let author = CommitAuthor(name: "desired-state", time: time)
    try await withinAnHour { [self] in
      try await repository.advance(branch) { objects, tip in
        let directory = try Files.temporaryDirectory("desired-state-publish")
        defer { try? Files.remove(directory) }
        let before = try await objects.use { try $0.exportDrop(below: tip?.tree, at: path, to: directory) }
        let message = try await write(directory)
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

  /// Whatever the server does, there is an end: a large drop over a slow line may take its time. Returns when all is tidied
  /// up.
  private func withinAnHour(_ work: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await work() }
      group.addTask {
        try await Task.sleep(for: .seconds(3600))
        throw BackendError(.timeout, "publishing in \(source) did not end within an hour")
      }
      defer { group.cancelAll() }
      try await group.next()
    }
  }
}

extension ObjectStore {
  /// Writes the files of a drop into a directory; what else is beside it in the tree stays where it is.
  ///
  /// - Returns: the blobs by their paths below the drop.
  fileprivate func exportDrop(
    below root: ObjectID?, at path: String, to directory: String
  ) throws -> [String: ObjectID] {
    guard let root else { return [:] }
    var drop = root
    for name in path.split(separator: "/") {
      guard let entry = try entry(at: String(name), below: drop) else { return [:] }
      guard entry.mode == GIT_FILEMODE_TREE else {
        throw BackendError(
          .forbidden, "'path=\(path)' leads through '\(name)', which is no directory in the repository")
      }
      drop = entry.id
    }
    var blobs: [String: ObjectID] = [:]
    var trees = [(id: drop, path: "")]
    while let (id, path) = trees.popLast() {
      for entry in try entries(of: id, below: path) {
        guard !path.isEmpty || Self.isOfDrop(entry.path) else { continue }
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

  private static func isOfDrop(_ name: String) -> Bool {
    name == Drop.manifest || [Drop.documents, Drop.signatures, Drop.bundles].contains(name)
  }

  /// What has to change in the tree for the drop to be as it is in a directory.
  fileprivate func changes(
    in directory: String, since before: [String: ObjectID], at path: String
  ) throws -> [TreeChange] {
    func full(_ name: String) -> String { path.isEmpty ? name : "\(path)/\(name)" }
    var changes: [TreeChange] = []
    var gone = before
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Files.names(in: Files.join(directory, folder)).sorted() where !Drop.isHidden(name) {
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
