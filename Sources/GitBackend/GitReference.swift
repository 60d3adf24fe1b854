import DesiredState
import DesiredStateSupport

/// What `ref=` names.
enum GitReference: Sendable, Equatable {
  /// Full names; the first that exists counts: a branch before a tag.
  case names([String])
  /// A commit, whatever leads to it.
  case commit(ObjectID)
  /// The newest of the tags whose names are versions in a range.
  case newestTag(VersionRange)

  /// Where a reference leads.
  struct Found: Sendable, Equatable {
    /// The full name; a commit's id where a commit is followed.
    let name: String
    /// A commit, or an annotated tag.
    let target: ObjectID
  }

  /// Reads `ref=`; without one, the repository's own `HEAD` is followed.
  ///
  /// - Throws: ``SourceAddressError`` if it names nothing that git allows.
  init(_ text: String?) throws(SourceAddressError) {
    guard let text, text != "HEAD" else {
      self = .names(["HEAD"])
      return
    }
    if text.hasPrefix("semver:") {
      guard let range = VersionRange(String(text.dropFirst("semver:".utf8.count))) else {
        throw SourceAddressError(
          "'ref=\(printable(text, limit: 80))' is not a range of versions; write 'ref=semver:>=1.2 <2', or ^1.4, ~2.0, 1.x"
        )
      }
      self = .newestTag(range)
    } else if let id = ObjectID(text.lowercased()) {
      self = .commit(id)
    } else {
      self = .names(try Self.fullNames(text))
    }
  }

  /// The full names that a name may stand for.
  static func fullNames(_ name: String) throws(SourceAddressError) -> [String] {
    // git-check-ref-format(1), as far as a name could be taken for something else on its way.
    let isSafe =
      !name.isEmpty && !name.contains("..") && !name.hasPrefix("-") && !name.hasPrefix("/") && !name.hasSuffix("/")
      && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !"~^:?*[\\".utf8.contains($0) }
    guard isSafe else { throw SourceAddressError("'ref=' names no branch or tag as git allows them") }
    return name.hasPrefix("refs/") ? [name] : ["refs/heads/\(name)", "refs/tags/\(name)"]
  }

  /// Asks a repository; nil if it has nothing of this name.
  func find(in repository: any GitRepository) async throws -> Found? {
    switch self {
    case .names(let names):
      let found = try await repository.references(.names(names))
      return names.lazy.compactMap { name in found[name].map { Found(name: name, target: $0) } }.first
    case .commit(let id):
      // That the repository answers is known only by asking it something.
      _ = try await repository.references(.names(["HEAD"]))
      return Found(name: id.hexadecimal, target: id)
    case .newestTag(let range):
      let prefix = "refs/tags/"
      let found = try await repository.references(.prefix(prefix))
      guard let name = range.newest(of: found.keys.map { String($0.dropFirst(prefix.utf8.count)) }) else { return nil }
      return found[prefix + name].map { Found(name: prefix + name, target: $0) }
    }
  }

  /// The missing part, for an operator.
  var missing: String {
    switch self {
    case .names(["HEAD"]): "a HEAD that leads to a commit; push a first commit, or name a branch with 'ref='"
    case .names(let names): "\(names.map { quoted($0) }.joined(separator: " or ")); check 'ref=', or push it"
    case .commit(let id): "commit \(id), or does not serve it; check 'ref=', or push a branch that holds it"
    case .newestTag: "a tag whose name is a version in the range; check 'ref=', or push a tag"
    }
  }
}
