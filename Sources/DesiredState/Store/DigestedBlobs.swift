import DesiredStateSupport

/// Which files this process has digested, and how they looked then. It knows nothing at the start: a boot, or anything
/// else that happened while no process looked, is a reason to digest again.
final class DigestedBlobs: Sendable {
  private struct Look: Equatable {
    var inode: UInt
    var size: Int
    var modified: Int
    var changed: Int

    init(_ status: FileStatus) {
      inode = status.inode
      size = status.size
      modified = status.modified.tv_sec * 1_000_000_000 + status.modified.tv_nsec
      changed = status.changed.tv_sec * 1_000_000_000 + status.changed.tv_nsec
    }
  }
  private let looks = LockedValue<[Digest: Look]>([:])

  func contains(_ digest: Digest, _ status: FileStatus) -> Bool {
    status.isRegular && looks.withLock { $0[digest] == Look(status) }
  }

  /// Whether all but the change time is as it was.
  func isSameContent(_ digest: Digest, _ status: FileStatus) -> Bool {
    looks.withLock { looks in
      guard var look = looks[digest] else { return false }
      let now = Look(status)
      look.changed = now.changed
      return look == now
    }
  }

  func insert(_ digest: Digest, _ status: FileStatus) { looks.withLock { $0[digest] = Look(status) } }

  func forget(_ digest: Digest) { looks.withLock { $0[digest] = nil } }
}
