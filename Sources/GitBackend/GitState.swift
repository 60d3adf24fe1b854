import CGit2
import DesiredState
import DesiredStateSupport

/// What a commit publishes at a path.
struct GitState: Sendable {
  enum Content: Sendable {
    /// Nothing is at the path, or a drop without a manifest.
    case absent(Absence)
    /// A drop: the tree that is its root, its manifest's bytes, and its signatures.
    case drop(tree: ObjectID, manifest: [UInt8], signatures: [[UInt8]])
    /// A plain tree: its documents.
    case plain([TreeEntry])
  }

  let commit: Commit
  /// The signatures of the commit, and of the annotated tag that leads to it.
  let signatures: TargetSignatures
  let content: Content
}

extension ObjectStore {
  /// Reads the state that a commit publishes at a path, which is empty for the root.
  ///
  /// - Throws: ``VerificationError``; ``LibGit2Error`` if an object is missing or damaged.
  func state(of found: GitReference.Found, at path: String, limits: Limits) throws -> GitState {
    let (commit, tags) = try peel(found.target)
    let signatures = TargetSignatures(
      tags: try tags.map { ($0, try read($0)) }, commit: (commit.id, try read(commit.id)), reference: found.name)
    guard signatures.signatures.reduce(0, { $0 + $1.signature.count }) <= limits.evidenceSize else {
      throw VerificationError(
        .limitExceeded, "the signature of commit \(commit.id) is longer than the limit of \(limits.evidenceSize) bytes")
    }
    return GitState(
      commit: commit, signatures: signatures, content: try content(below: commit.tree, at: path, limits: limits))
  }

  private func content(below root: ObjectID, at path: String, limits: Limits) throws -> GitState.Content {
    var tree = root
    if !path.isEmpty {
      guard let entry = try entry(at: path, below: root) else {
        return .absent(
          Absence(.path, "the commit has no directory \(quoted(path)); check 'path=', or publish there"))
      }
      guard entry.mode == GIT_FILEMODE_TREE else {
        throw VerificationError(
          .manifestMalformed, "'\(path)' is no directory in the repository; 'path=' names the one with the documents")
      }
      tree = entry.id
    }
    guard let manifest = try entry(at: DropLayout.manifest, below: tree) else {
      let names = try entries(of: tree, limit: limits.documentCount).map(\.path)
      // A tree that holds nothing but hidden files says so on purpose: git keeps no empty directory by itself.
      let isEmpty = names.allSatisfy(DropLayout.isHidden)
      let isUnpublished = try DropLayout.isUnpublished(holding: names) { folder in
        guard let entry = try entry(at: folder, below: tree), entry.mode == GIT_FILEMODE_TREE else { return nil }
        return try entries(of: entry.id).map(\.path)
      }
      guard !isEmpty && isUnpublished else { return .plain(try documents(below: tree, limits: limits)) }
      return .absent(
        Absence(.manifest, "the commit has a drop without \(DropLayout.manifest); it counts when that is published"))
    }
    let bytes = try file(manifest, limit: limits.manifestSize, otherwise: .manifestMalformed)
    let signatures = try entry(at: DropLayout.signatures(of: Revision(ofManifest: bytes)), below: tree).map {
      try file($0, limit: limits.evidenceSize, otherwise: .signatureInvalid)
    }
    return .drop(tree: tree, manifest: bytes, signatures: signatures.map { [$0] } ?? [])
  }

  /// The content of a file of a tree.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded` before anything is read, or `code` if it is no file.
  func file(_ entry: TreeEntry, limit: Int, otherwise code: VerificationError.Code) throws -> [UInt8] {
    guard entry.isFile else {
      throw VerificationError(code, "'\(entry.path)' in the repository is no file; put the file itself there")
    }
    guard try header(of: entry.id).size <= limit else {
      throw VerificationError(.limitExceeded, "'\(entry.path)' is longer than the limit of \(limit) bytes")
    }
    return try read(entry.id)
  }
}
