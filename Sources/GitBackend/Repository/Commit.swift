import CGit2
import DesiredState
import Glibc

/// A commit, as far as it matters here.
struct Commit: Sendable {
  let id: ObjectID
  let tree: ObjectID
  let parents: [ObjectID]
  /// When it was committed, by the committer's clock, in seconds since 1970.
  let time: Int64
  /// `Name <mail>`.
  let author: String?
  /// The first line of its message.
  let subject: String?
}

extension ObjectStore {
  /// The bytes that a commit or a tag may have: libgit2 reads all of it into memory several times over.
  private static let largestCommit = 1 << 20

  /// Reads a commit.
  ///
  /// - Throws: ``VerificationError`` with `limit-exceeded`; ``LibGit2Error``.
  func commit(_ id: ObjectID) throws -> Commit {
    guard try header(of: id).size <= Self.largestCommit else {
      throw VerificationError(.limitExceeded, "commit \(id) is longer than \(Self.largestCommit) bytes")
    }
    var oid = id.git
    let commit: OpaquePointer = try LibGit2.make("read commit \(id)") { git_commit_lookup($0, repository, &oid) }
    defer { git_commit_free(commit) }
    return Commit(
      id: id, tree: ObjectID(git_commit_tree_id(commit)),
      parents: (0..<git_commit_parentcount(commit)).map { ObjectID(git_commit_parent_id(commit, $0)) },
      time: git_commit_time(commit),
      author: git_commit_author(commit).map {
        "\(Self.text($0.pointee.name) ?? "") <\(Self.text($0.pointee.email) ?? "")>"
      },
      subject: Self.text(git_commit_summary(commit)))
  }

  /// Text of a commit, which may have any bytes; what no message shows is not copied.
  private static func text(_ string: UnsafePointer<CChar>?) -> String? {
    string.map { start in
      let bytes = UnsafeRawBufferPointer(start: start, count: strnlen(start, 4096))
      return String(decoding: bytes, as: UTF8.self)
    }
  }

  /// The commit that an object is, or that a tag leads to, with the tags on the way.
  ///
  /// - Throws: ``VerificationError`` with `manifest-malformed` if it leads to something else, or `limit-exceeded`; ``LibGit2Error``.
  func peel(_ id: ObjectID) throws -> (commit: Commit, tags: [ObjectID]) {
    var tags: [ObjectID] = []
    var current = id
    // A chain of tags has an end, and an honest one is short.
    for _ in 0..<8 {
      let header = try header(of: current)
      switch header.kind {
      case .commit: return (try commit(current), tags)
      case .tag:
        guard header.size <= Self.largestCommit else {
          throw VerificationError(.limitExceeded, "tag \(current) is longer than \(Self.largestCommit) bytes")
        }
        tags.append(current)
        var oid = current.git
        let tag: OpaquePointer = try LibGit2.make("read tag \(id)") { git_tag_lookup($0, repository, &oid) }
        defer { git_tag_free(tag) }
        current = ObjectID(git_tag_target_id(tag))
      default: throw VerificationError(.manifestMalformed, "the reference leads to object \(id), which is no commit")
      }
    }
    throw VerificationError(.manifestMalformed, "tag \(id) leads to a chain of more than 8 tags")
  }

  /// Looks for `ancestor` among the ancestors of `commit`, as far as they are here: by the ids that the commits
  /// themselves name, which only their authors can have written.
  func ancestry(of commit: ObjectID, from ancestor: ObjectID) throws -> Ancestry {
    var seen: Set<ObjectID> = [commit]
    var next = [commit]
    var isCut = false
    while let id = next.popLast() {
      if id == ancestor { return .descends }
      guard holds(id) else {
        isCut = true
        continue
      }
      // Looking at more would take too long.
      guard seen.count < 200_000 else { return .unproven(isCut: true) }
      for parent in try self.commit(id).parents where seen.insert(parent).inserted { next.append(parent) }
    }
    return .unproven(isCut: isCut)
  }
}
