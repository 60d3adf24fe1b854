import CGit2
import DesiredState
import DesiredStateSupport
import Glibc
import Synchronization

/// A directory of objects that can be fetched again: bounded, and rebuilt whenever it is not right.
///
/// It is laid out as `.git/objects` and belongs to one process at a time; another one works in a directory of its own.
/// Nothing in it is trusted: libgit2 checks each object's SHA-1 as it is read, and the core each document's digest.
///
/// Sound to send: it is used on one thread only, that of the ``Worker`` that writes, except for what does not change and
/// ``objects``, which has a lock.
final class ObjectCache: @unchecked Sendable {
  let objects: AsyncObjectStore
  let directory: String
  private let lock: FileLock
  private let isTemporary: Bool
  private(set) var store: ObjectStore
  /// Commits that are here with all of their trees, the newest last; also on the disk.
  private(set) var tips: [ObjectID]
  /// Whether files outside the path may be missing from the tips: then nothing is asked for that builds on them.
  private(set) var isPartial: Bool
  /// In how many files at once a fetch goes on that broke off, or is under way; nil if none is.
  private(set) var step: Int?
  /// Which packs brought a commit and its objects, in this process.
  private var packNames: [ObjectID: [String]] = [:]
  private let damage = Damage()
  /// The size after packs were last merged into one.
  private var mergedSize: Int

  private var packs: String { directory + "/pack" }
  private var tipsFile: String { directory + "/tips" }
  private var partialMark: String { directory + "/partial" }
  private var stepFile: String { directory + "/step" }

  /// Opens the cache below a directory, or makes it; nil for a temporary one.
  ///
  /// - Throws: ``FileError``, ``LibGit2Error``.
  init(below parent: String?, named name: String, reading: Worker) throws {
    // Without its own place it works in another, and fetches everything anew: never a reason to stop.
    var place = try? parent.flatMap { try Self.take(Files.join($0, name)) }
    isTemporary = place == nil
    if place == nil {
      place = try Self.take(try Files.temporaryDirectory("desired-state-git"))
    }
    guard let place else { throw FileError("lock", name, code: EWOULDBLOCK) }
    (directory, lock) = place
    let packs = place.0 + "/pack"
    // What an interrupted fetch left.
    for file in try Files.names(in: packs) where !file.hasPrefix("pack-") {
      try Files.remove(Files.join(packs, file))
    }
    let store = try ObjectStore(objects: directory)
    self.store = store
    let text = (try? Files.read(directory + "/tips", limit: 4096)) ?? []
    tips = String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { ObjectID($0) }
      .filter { store.holds($0) }
    isPartial = FileStatus(at: directory + "/partial") != nil
    step = (try? Files.read(directory + "/step", limit: 16)).flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    // The largest pack is what an earlier process merged, or the first fetch.
    mergedSize =
      try Files.names(in: packs).compactMap { FileStatus(at: Files.join(packs, $0))?.size }.max() ?? 0
    let (directory, damage) = (directory, damage)
    objects = AsyncObjectStore(store, worker: reading) {
      damage.note(in: directory)
      return BackendError(
        .unreachable, "the fetched objects cannot be read any more: \($0); it is fetched again at the next poll",
        underlying: $0)
    }
  }

  deinit { if isTemporary { try? Files.remove(directory) } }

  /// The directory with its lock; nil if another process has it, or a file there can be neither used nor removed.
  private static func take(_ directory: String) throws -> (String, FileLock)? {
    for isSecond in [false, true] {
      if isSecond {
        // Something else is in its place, or another user's: it can be fetched again.
        chmod(directory, 0o700)
        try? Files.remove(directory)
      }
      let folders = [directory, directory + "/pack", directory + "/info"]
      let isMade = folders.allSatisfy { (try? Files.createDirectories($0, mode: 0o700)) != nil }
      guard isMade, folders.allSatisfy({ access($0, R_OK | W_OK | X_OK) == 0 }) else { continue }
      return try FileLock(directory).map { (directory, $0) }
    }
    return nil
  }

  /// Removes a cache that cannot be opened. A new one is to be made in its place.
  static func remove(below parent: String?, named name: String) {
    if let parent { try? Files.remove(Files.join(parent, name)) }
  }

  /// Whether something in it was missing or wrong: then it is not used any more.
  var isDamaged: Bool { damage.isThere }

  /// Gives the cache up.
  func condemn() { damage.note(in: directory) }

  /// Something is missing or wrong. The whole of it goes at once, so that the next process does not find it either.
  private final class Damage: Sendable {
    private let flag = Atomic<Bool>(false)
    var isThere: Bool { flag.load(ordering: .acquiring) }

    func note(in directory: String) {
      flag.store(true, ordering: .releasing)
      for name in (try? Files.names(in: directory)) ?? [] { try? Files.remove(Files.join(directory, name)) }
    }
  }

  /// Begins to take in a pack.
  func indexer() throws(LibGit2Error) -> PackIndexer { try PackIndexer(into: packs, completing: store) }

  /// Takes note of a pack with a target, or with objects of it.
  ///
  /// - Parameter pack: its name; nil if there was nothing in it.
  func took(_ target: ObjectID, in pack: String?) throws {
    store.refresh()
    guard let pack else { return }
    packNames[try store.peel(target).commit.id, default: []].append(pack)
  }

  /// Files outside the path will be missing.
  func becomePartial() throws {
    guard !isPartial else { return }
    try Files.replace(partialMark, with: [], isDurable: false)
    isPartial = true
  }

  /// If the fetch breaks off, it is to go on in steps of so many files.
  func note(step: Int) throws {
    guard self.step != step else { return }
    try Files.replace(stepFile, with: Array("\(step)".utf8), isDurable: false)
    self.step = step
  }

  /// Notes that a target is here with all that is needed of it.
  func note(_ target: ObjectID) throws {
    store.refresh()
    if step != nil {
      try Files.remove(stepFile)
      step = nil
    }
    let tip = try store.peel(target).commit.id
    tips.removeAll { $0 == tip }
    tips.append(tip)
    try Files.replace(
      tipsFile, with: Array(tips.map { "\($0)\n" }.joined().utf8), isDurable: false)
  }

  /// Removes what a target brought: it was refused, and nothing is built on it.
  func discard(_ target: ObjectID) throws {
    guard store.holds(target), let tip = try? store.peel(target).commit.id, let names = packNames[tip] else { return }
    for name in names {
      for file in try Files.names(in: packs) where file.hasPrefix("pack-\(name).") {
        try Files.remove(Files.join(packs, file))
      }
    }
    packNames[tip] = nil
    try reopen(keeping: tips.filter { $0 != tip })
  }

  /// libgit2 keeps packs open that are gone; only opening anew lets go of them.
  private func reopen(keeping kept: [ObjectID]) throws {
    store = try ObjectStore(objects: directory)
    objects.replace(with: store)
    tips = kept.filter { store.holds($0) }
    try Files.replace(tipsFile, with: Array(tips.map { "\($0)\n" }.joined().utf8), isDurable: false)
  }

  // MARK: - Size

  /// How much may be here beyond the need before it is put away, in bytes, and in how many packs.
  private static let slack = 512 << 10
  private static let maximumPackCount = 24

  /// Merges what `needed` needs into one pack and removes the rest, if there is much of it.
  ///
  /// The new pack is complete before an old one goes: a process that is killed between leaves both.
  func tidy(keeping needed: [ObjectID]) throws {
    let (size, count) = try measure()
    guard count > Self.maximumPackCount || size > 2 * mergedSize + Self.slack else { return }
    let kept = needed.filter { store.holds($0) }
    let name = try store.mergePack(of: kept, isPartial: isPartial, into: packs)
    for file in try Files.names(in: packs) where !file.hasPrefix("pack-\(name).") {
      try Files.remove(Files.join(packs, file))
    }
    for folder in try Files.names(in: directory) where folder.utf8.count == 2 {
      try Files.remove(Files.join(directory, folder))
    }
    packNames = [:]
    try reopen(keeping: tips.filter { kept.contains($0) })
    mergedSize = try measure().size
  }

  private func measure() throws -> (size: Int, count: Int) {
    var size = 0
    var count = 0
    for folder in try Files.names(in: directory)
    where FileStatus(at: Files.join(directory, folder))?.isDirectory == true {
      for file in try Files.names(in: "\(directory)/\(folder)") {
        // A block each at least: loose objects are small files.
        size += max(512, FileStatus(at: "\(directory)/\(folder)/\(file)")?.size ?? 0)
        count += file.hasSuffix(".idx") ? 0 : 1
      }
    }
    return (size, count)
  }
}

extension ObjectStore {
  /// Writes one pack with all of the trees of some commits, and with these alone of their history.
  ///
  /// - Parameter isPartial: whether files may be missing; those that are here are packed.
  /// - Returns: the pack's name.
  func mergePack(of targets: [ObjectID], isPartial: Bool, into directory: String) throws -> String {
    let builder: OpaquePointer = try LibGit2.make("set up a pack") { git_packbuilder_new($0, repository) }
    defer { git_packbuilder_free(builder) }
    git_packbuilder_set_threads(builder, 1)
    for target in targets {
      let (commit, tags) = try peel(target)
      for tag in tags {
        var id = tag.git
        try LibGit2.call("pack tag \(tag)") { git_packbuilder_insert(builder, &id, nil) }
      }
      var id = commit.id.git
      if isPartial {
        try LibGit2.call("pack commit \(commit.id)") { git_packbuilder_insert(builder, &id, nil) }
        try insertHeld(below: commit.tree, into: builder)
      } else {
        // git_packbuilder_insert_commit(3): the commit and its whole tree, and no parent.
        try LibGit2.call("pack commit \(commit.id)") { git_packbuilder_insert_commit(builder, &id) }
      }
    }
    try LibGit2.call("write a pack in \(directory)") { git_packbuilder_write(builder, directory, 0, nil, nil) }
    return git_packbuilder_name(builder).map { String(cString: $0) } ?? ""
  }

  /// Adds a tree, its trees, and those of its files that are here.
  private func insertHeld(below tree: ObjectID, into builder: OpaquePointer) throws {
    var seen: Set<ObjectID> = [tree]
    var next = [tree]
    while let current = next.popLast() {
      for (entry, isTree) in try names(in: current) where seen.insert(entry).inserted && holds(entry) {
        if isTree {
          next.append(entry)
        } else {
          var id = entry.git
          try LibGit2.call("pack object \(entry)") { git_packbuilder_insert(builder, &id, nil) }
        }
      }
      var id = current.git
      try LibGit2.call("pack tree \(current)") { git_packbuilder_insert(builder, &id, nil) }
    }
  }

  /// A pack of the objects that a new commit has and an old one has not, in memory.
  func pack(of new: ObjectID, without old: Commit?) throws -> [UInt8] {
    let builder: OpaquePointer = try LibGit2.make("set up a pack") { git_packbuilder_new($0, repository) }
    defer { git_packbuilder_free(builder) }
    git_packbuilder_set_threads(builder, 1)
    var id = new.git
    try LibGit2.call("pack commit \(new)") { git_packbuilder_insert(builder, &id, nil) }
    try insert(try commit(new).tree, without: old?.tree, into: builder)
    var buffer = git_buf()
    defer { git_buf_dispose(&buffer) }
    try LibGit2.call("write a pack") { git_packbuilder_write_buf(&buffer, builder) }
    return Self.bytes(buffer)
  }

  /// Adds the objects that a tree has and another one at the same place has not. The history is not walked: it may not be here.
  private func insert(_ tree: ObjectID, without old: ObjectID?, into builder: OpaquePointer) throws {
    guard tree != old else { return }
    var id = tree.git
    try LibGit2.call("pack tree \(tree)") { git_packbuilder_insert(builder, &id, nil) }
    let before = try old.map { try entries(of: $0) } ?? []
    let known = Dictionary(before.map { ($0.path, $0) }) { first, _ in first }
    for entry in try entries(of: tree) where known[entry.path]?.id != entry.id {
      if entry.mode == GIT_FILEMODE_TREE {
        let other = known[entry.path].flatMap { $0.mode == GIT_FILEMODE_TREE ? $0.id : nil }
        try insert(entry.id, without: other, into: builder)
      } else if entry.mode != GIT_FILEMODE_COMMIT {
        var id = entry.id.git
        try LibGit2.call("pack object \(entry.id)") { git_packbuilder_insert(builder, &id, nil) }
      }
    }
  }
}
