import DesiredState
import DesiredStateTesting
import Foundation
package import TestSupport
import Testing

/// A bare repository, and the operator who commits to it with the git program.
package final class OperatorRepository: Sendable {
  package let folder = TemporaryDirectory()
  package let keys: Keys
  package var path: String { folder["site/repository.git"] }
  package var tree: String { folder["tree"] }

  package init() async throws {
    keys = try await Keys.shared.value
    try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
    try await run(["git", "init", "-q", "--bare", "-b", "main", path])
    let configuration = [
      "user.name": "Operator", "user.email": "operator@plant.example", "gpg.format": "ssh", "gc.auto": "0",
      "user.signingkey": keys.folder["operator"], "http.receivepack": "true",
    ]
    for (name, value) in configuration { try await git("config", name, value) }
  }

  @discardableResult
  package func git(_ arguments: String..., environment: [String: String] = [:]) async throws -> String {
    try await git(arguments, environment: environment)
  }

  @discardableResult
  package func git(_ arguments: [String], input: [UInt8]? = nil, environment: [String: String] = [:]) async throws
    -> String
  {
    try await run(
      ["git", "--git-dir", path, "--work-tree", tree] + arguments, in: tree, input: input, environment: environment)
  }

  /// Makes the operator's tree hold exactly these files, and commits them.
  ///
  /// - Parameter signer: whose key signs the commit; nil leaves it unsigned.
  @discardableResult
  package func commit(
    _ files: [String: [UInt8]], signer: String? = "operator", amend: Bool = false
  ) async throws -> String {
    for name in names(in: tree) where name != ".git" { try FileManager.default.removeItem(atPath: "\(tree)/\(name)") }
    for (path, bytes) in files { try write(bytes, to: "\(tree)/\(path)") }
    return try await commitTree(signer: signer, amend: amend)
  }

  @discardableResult
  package func commit(_ files: [String: String], signer: String? = "operator", amend: Bool = false) async throws
    -> String
  {
    try await commit(files.mapValues { Array($0.utf8) }, signer: signer, amend: amend)
  }

  /// Commits the tree as it is.
  @discardableResult
  package func commitTree(signer: String? = "operator", amend: Bool = false) async throws -> String {
    try await git("add", "-A", "-f")
    var arguments = ["commit", "-q", "--allow-empty", "-m", amend ? "amended" : "change"]
    if amend { arguments.append("--amend") }
    if let signer { arguments.append("-S\(keys.folder[signer])") }
    try await git(arguments)
    return try await git("rev-parse", "HEAD")
  }

  /// A tree for which the git program is not to be asked whether it is a good idea.
  package func commitEntries(_ listing: String, signer: String? = "operator") async throws {
    let tree = try await git(["mktree", "--missing"], input: Array(listing.utf8))
    try await commit(treeNamed: tree, signer: signer)
  }

  package func commit(treeNamed tree: String, signer: String? = "operator") async throws {
    var arguments = ["commit-tree", tree, "-m", "made by hand"]
    let tip = try await git("for-each-ref", "--format=%(objectname)", "refs/heads/main")
    if !tip.isEmpty { arguments += ["-p", tip] }
    if let signer { arguments.append("-S\(keys.folder[signer])") }
    try await git("update-ref", "refs/heads/main", try await git(arguments))
  }

  /// A file's content in a revision.
  package func show(_ path: String, at revision: String) async throws -> [UInt8] {
    Array(try await git("cat-file", "blob", "\(revision):\(path)").utf8)
  }
}
