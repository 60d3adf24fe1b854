import DesiredState
import DesiredStateSupport
import Glibc

/// The directories that are watched for one source, and what their events mean.
struct Watches {
  /// What an event says, from least to most.
  enum Change: Int, Comparable {
    case none
    /// A document came, or went. Thousands may follow.
    case documents
    /// The manifest, a signature or a bundle.
    case state
    /// The watches no longer fit the directories.
    case structure

    static func < (left: Change, right: Change) -> Bool { left.rawValue < right.rawValue }
  }

  /// How many directories are watched at most: a user's watches are limited, and polling sees the rest.
  private static let most = 256

  private let source: String
  private var roles: [Int32: Role] = [:]
  private var root: FileStatus?
  /// Whether the source was a drop when the watches were set.
  private var isDrop = false

  /// The reason for which a directory is watched.
  private enum Role: Equatable {
    /// The source appears in it, or is replaced, under this name. A bundle is also written to under this name.
    case above(name: String)
    /// It is the source: a drop, or a plain directory.
    case root
    /// Signatures.
    case signatures
    /// Documents, or a plain directory's sub-directory.
    case documents
  }

  init(_ source: String) { self.source = source }

  /// Whether something else is there than what the last poll saw: the manifest, or the bundle, by its fingerprint. Of a
  /// directory without a manifest nothing can be said so quickly, so it may have.
  func mayHaveChanged(since seen: String?) -> Bool {
    if let manifest = Self.status(Files.join(source, DropLayout.manifest)) { return manifest.fingerprint != seen }
    guard let status = Self.status(source) else { return seen != nil }
    return status.isDirectory || status.fingerprint != seen
  }

  /// Whether another directory or file is at the path than when the watches were set: something was mounted there.
  func isElsewhere() -> Bool { Self.identity(Self.status(source)) != Self.identity(root) }

  /// Sets the watches that fit the present directories, and removes the others.
  mutating func arm(_ inotify: Int32) {
    var next: [Int32: Role] = [:]
    func watch(_ path: String, _ role: Role, _ mask: Int32) -> Bool {
      // inotify_add_watch(2): the same directory again gives the same descriptor, with the new mask.
      let descriptor = inotify_add_watch(inotify, path, UInt32(mask) | Self.always)
      guard descriptor >= 0 else { return false }
      // A directory has one role; the root is not also watched as a directory above it.
      if next[descriptor] == nil { next[descriptor] = role }
      return true
    }
    // The root first. A file that is made in a directory between listing it and watching it must not be missed, so each
    // directory is watched before it is listed.
    root = Self.status(source)
    if watch(source, .root, Self.contents) {
      isDrop = FileStatus(at: Files.join(source, DropLayout.manifest)) != nil
      for folder in folders() {
        guard next.count < Self.most else { break }
        _ = watch(folder.path, folder.role, Self.contents)
      }
    }
    watchAbove(watch)
    for old in roles.keys where next[old] == nil { inotify_rm_watch(inotify, old) }
    roles = next
  }

  /// Watches the nearest directory above the source that exists, for the next name on the way down.
  private func watchAbove(_ watch: (String, Role, Int32) -> Bool) {
    var directory = Files.parent(source)
    var name = String(source.dropFirst(directory == "/" ? 1 : directory.utf8.count + 1))
    var attempts = 0
    while attempts < 1000 {
      attempts += 1
      if watch(directory, .above(name: name), Self.contents) {
        // A directory that was made in the meantime is nearer.
        let below = Files.join(directory, name)
        guard below != source, Files.isDirectory(below) else { return }
        name = String(source.dropFirst(below.utf8.count + 1).prefix { $0 != "/" })
        directory = below
      } else {
        guard directory != "/" else { return }
        let parent = Files.parent(directory)
        name = String(directory.dropFirst(parent == "/" ? 1 : parent.utf8.count + 1))
        directory = parent
      }
    }
  }

  /// The directories below the source that matter: a drop's own, or all of a plain directory.
  private func folders() -> [(path: String, role: Role)] {
    let signatures = Files.join(source, DropLayout.signatures)
    let documents = Files.join(source, DropLayout.documents)
    guard !isDrop else {
      return [(signatures, .signatures), (documents, .documents)]
    }
    var folders: [(path: String, role: Role)] = []
    var index = -1
    while index < folders.count, folders.count < Self.most {
      let directory = index < 0 ? source : folders[index].path
      index += 1
      for name in (try? Files.names(in: directory)) ?? [] where !DropLayout.isHidden(name) {
        let path = Files.join(directory, name)
        guard FileStatus(at: path)?.isDirectory == true, folders.count < Self.most,
          path != Files.join(source, DropLayout.acknowledgements)
        else { continue }
        folders.append((path, path == signatures ? .signatures : .documents))
      }
    }
    return folders
  }

  /// Reads all events, and says what they mean.
  mutating func read(_ inotify: Int32) -> Change {
    var change = Change.none
    // inotify(7): events come whole; a buffer of one header and NAME_MAX + 1 bytes holds at least one.
    withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: MemoryLayout<inotify_event>.alignment) { buffer in
      while true {
        let count = Glibc.read(inotify, buffer.baseAddress, buffer.count)
        guard count > 0 else { return }
        var offset = 0
        while offset + Self.headerSize <= count {
          let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
          let name = UnsafeRawBufferPointer(buffer)[
            offset + Self.headerSize..<offset + Self.headerSize + Int(event.len)]
          // The name is filled up with NULs to a multiple of the alignment.
          change = max(change, meaning(of: event, String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)))
          offset += Self.headerSize + Int(event.len)
        }
      }
    }
    return change
  }

  private func meaning(of event: inotify_event, _ name: String) -> Change {
    let mask = Int32(bitPattern: event.mask)
    // Events were lost: anything may have happened.
    if mask & Int32(IN_Q_OVERFLOW) != 0 { return .structure }
    guard let role = roles[event.wd] else { return .none }
    if mask & Self.ended != 0 { return .structure }
    let isDirectory = mask & Int32(IN_ISDIR) != 0
    // A file that was made is written next, and says so when it is finished.
    let isBegun = mask & Int32(IN_CREATE) != 0 && !isDirectory
    switch role {
    case .above(let expected):
      guard name == expected else { return .none }
      // Written to: a bundle. Anything else is another file or directory under this name.
      return mask & Int32(IN_CLOSE_WRITE) != 0 ? .state : .structure
    case .root:
      // `..data` is how a mounted ConfigMap changes all its files at once.
      if name == "..data" { return .structure }
      if name == DropLayout.acknowledgements || DropLayout.isHidden(name) { return .none }
      if isBegun { return .none }
      if name == DropLayout.manifest {
        // Where the manifest comes for the first time, or goes, the directory is another kind of source.
        return isDrop && mask & (Int32(IN_DELETE) | Int32(IN_MOVED_FROM)) == 0 ? .state : .structure
      }
      return isDirectory ? .structure : .documents
    case .signatures:
      return DropLayout.isHidden(name) || isBegun ? .none : .state
    case .documents:
      if DropLayout.isHidden(name) || isBegun { return .none }
      return isDirectory ? .structure : .documents
    }
  }

  private static let headerSize = MemoryLayout<inotify_event>.size
  private static let always = UInt32(IN_ONLYDIR) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
  private static let ended = Int32(IN_DELETE_SELF) | Int32(IN_MOVE_SELF) | Int32(IN_UNMOUNT) | Int32(IN_IGNORED)
  private static let contents =
    Int32(IN_CLOSE_WRITE) | Int32(IN_MOVED_TO) | Int32(IN_MOVED_FROM) | Int32(IN_CREATE) | Int32(IN_DELETE)

  private static func status(_ path: String) -> FileStatus? {
    var buffer = stat()
    return stat(path, &buffer) == 0 ? FileStatus(buffer) : nil
  }

  private static func identity(_ status: FileStatus?) -> [UInt] { status.map { [$0.device, $0.inode] } ?? [] }
}
