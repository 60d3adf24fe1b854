import CGit2
import DesiredState

/// A pack on its way into a cache: watched, indexed, and noted when it is complete.
///
/// Sound to send: one task uses it, one piece after the other, on the thread that writes; only ``cancel()`` is for all.
final class PackIntake: @unchecked Sendable {
  private let cache: ObjectCache
  private let target: ObjectID
  private let limiter: PackLimiter
  private let indexer: PackIndexer
  private let gate: CommitGate?

  /// The target, and what it leads to, as they came by.
  private var tags: [ObjectID: [UInt8]] = [:]
  private var commits: [ObjectID: [UInt8]] = [:]
  private var trees: [ObjectID: [UInt8]] = [:]
  private var isWeighed = false
  /// Why a plain tree is refused, as long as it may still be a drop.
  private var refusal: (any Error)?
  private var weighed: TargetSignatures?
  /// What the commit is signed with, if the pack was not read on because a plain tree of it is refused.
  private(set) var refused: TargetSignatures?

  init(into cache: ObjectCache, of target: ObjectID, gate: CommitGate?, _ bounds: PackLimiter.Bounds) throws {
    self.cache = cache
    self.target = target
    self.gate = gate
    limiter = PackLimiter(bounds)
    indexer = try cache.indexer()
    guard gate != nil else { return }
    // Not yet known to be anything: what it may cost is little.
    limiter.bounds.deltaSize = PackLimiter.Bounds.untrustedDeltaSize
    limiter.observer = PackObserver(of: [.commit, .tag, .tree]) { [unowned self] in try see($0, $1) }
  }

  /// Ends it soon, in the middle of completing it.
  func cancel() { indexer.cancel() }

  /// - Throws: ``GitProtocolError``; ``LibGit2Error``; what the gate throws.
  func take(_ bytes: [UInt8]) throws {
    try limiter.pass(bytes)
    try indexer.append(bytes)
  }

  /// Completes the pack, which is then in the cache.
  func finish() throws {
    try limiter.finish()
    // A pack without objects is no pack to libgit2: all was here already.
    if limiter.objectCount != 0 { try indexer.commit() }
    try cache.took(target, in: limiter.objectCount != 0 ? indexer.name : nil)
  }

  /// The bytes of the objects and deltas in it.
  var size: UInt64 { limiter.total }

  private func see(_ kind: PackObserver.Kind, _ bytes: [UInt8]) throws {
    switch kind {
    case .tag where tags.count < 8: tags[try ObjectID(of: bytes, GIT_OBJECT_TAG)] = bytes
    case .commit where commits.count < 8: commits[try ObjectID(of: bytes, GIT_OBJECT_COMMIT)] = bytes
    case .tree where refusal != nil && trees.count < 1000: trees[try ObjectID(of: bytes, GIT_OBJECT_TREE)] = bytes
    default: return
    }
    if !isWeighed, let target = signatures() {
      isWeighed = true
      weighed = target
      do {
        try gate?.weigh(target)
        limiter.bounds.deltaSize = .max
        limiter.observer = nil
      } catch {
        refusal = error
      }
    }
    // Without a manifest at the path it is a plain tree, and without the next trust update nothing more of it is wanted.
    if let gate, let refusal, let commit = commits.first?.value, isPlain(commit) == true,
      holds(gate.trustUpdate, commit) == false
    {
      refused = weighed
      throw refusal
    }
  }

  /// The signatures of the commit and of the tags on the way to it, if all of them have come by.
  private func signatures() -> TargetSignatures? {
    var way: [(ObjectID, [UInt8])] = []
    var current = target
    while let tag = tags[current] {
      way.append((current, tag))
      guard let next = ObjectID(TargetSignatures.field("object", in: tag)) else { return nil }
      current = next
    }
    guard let gate, let commit = commits[current] else { return nil }
    return TargetSignatures(tags: way, commit: (current, commit), reference: gate.reference)
  }

  /// Whether a tree has no manifest at the path; nil if that is not known yet.
  private func isPlain(_ commit: [UInt8]) -> Bool? {
    let folder = gate?.path ?? ""
    return holds(folder.isEmpty ? DropLayout.manifest : folder + "/" + DropLayout.manifest, commit).map { !$0 }
  }

  /// Whether a commit's tree has something at a path; nil if that is not known yet.
  private func holds(_ path: String, _ commit: [UInt8]) -> Bool? {
    guard var id = ObjectID(TargetSignatures.field("tree", in: commit)) else { return nil }
    for name in path.split(separator: "/") {
      guard let tree = trees[id] else { return nil }
      guard let next = Self.entry(String(name), of: tree) else { return false }
      id = next
    }
    return true
  }

  /// An entry of a tree as it is stored (gitformat-pack(5) and git-mktree(1)): mode, name, NUL and 20 bytes.
  private static func entry(_ name: String, of tree: [UInt8]) -> ObjectID? {
    var rest = tree[...]
    while let space = rest.firstIndex(of: 32), let end = rest[space...].firstIndex(of: 0), rest.endIndex - end > 20 {
      if rest[(space + 1)..<end].elementsEqual(name.utf8) { return ObjectID(bytes: rest[(end + 1)...(end + 20)]) }
      rest = rest[(end + 21)...]
    }
    return nil
  }
}
