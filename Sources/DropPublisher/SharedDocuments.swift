import DesiredState
import DesiredStateSupport
import Glibc

/// Documents that several drops have, published one after another: a file that one drop has is the same file in the next one,
/// where their file system has hard links, and is not written again.
///
/// Sound, because the file of a document is never changed: it is named by its content.
public final class SharedDocuments: Sendable {
  private let paths = LockedValue<[Digest: (path: String, size: UInt64)]>([:])

  /// Without a document yet.
  public init() {}

  func note(_ digest: Digest, _ size: UInt64, at path: String) {
    paths.withLock { if $0[digest] == nil { $0[digest] = (path, size) } }
  }

  /// Gives the file of a document another name.
  ///
  /// - Returns: false if no drop has it yet, or the file system has no such links, or too many.
  func link(_ digest: Digest, _ size: UInt64, to path: String) -> Bool {
    guard let known = paths.withLock({ $0[digest] }), known.size == size else { return false }
    return Glibc.link(known.path, path) == 0
  }
}
