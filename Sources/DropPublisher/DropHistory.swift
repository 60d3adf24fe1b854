import DesiredState
import DesiredStateSupport
import Glibc

/// The manifests that were published in a drop, so that a publisher can go back to one. Their documents are in the drop until
/// they are pruned, and so are their signatures.
struct DropHistory {
  /// How many versions are kept.
  static let kept = 20

  private let root: String
  private var folder: String { Files.join(root, DropLayout.history) }

  init(_ root: String) { self.root = root }

  func record(_ manifest: [UInt8], version: UInt64) throws(FileError) {
    try Files.createDirectories(folder)
    // Only a publisher looks at it, and one that finds none says so: it is worth no wait for the disk.
    try Files.replace(Files.join(root, DropLayout.published(version)), with: manifest, isDurable: false)
  }

  /// The manifest of a version.
  ///
  /// - Throws: ``PublicationError`` that says which versions are there; `FileError`.
  func manifest(of version: UInt64, limits: Limits) throws -> [UInt8] {
    let path = Files.join(root, DropLayout.published(version))
    guard FileStatus(at: path) != nil else {
      let versions = try versions().map { "\($0)" }.joined(separator: ", ")
      throw PublicationError(
        .options,
        "version \(version) is not among those that can be published again: \(versions.isEmpty ? "there are none" : versions)"
      )
    }
    guard
      let bytes = try Files.read(
        try OpenDirectory(root).file(at: DropLayout.published(version)), limit: limits.manifestSize)
    else { throw PublicationError(.unreadable, "\(path) is longer than the limit of \(limits.manifestSize) bytes") }
    return bytes
  }

  /// The versions that are kept, in order.
  func versions() throws(FileError) -> [UInt64] {
    do throws(FileError) {
      return try Files.names(in: folder).compactMap { Self.version($0) }.sorted()
    } catch {
      guard error.code == ENOENT else { throw error }
      return []
    }
  }

  /// Removes all but the newest.
  func prune(keeping count: Int) throws(FileError) {
    for version in try versions().dropLast(count) {
      let path = Files.join(root, DropLayout.published(version))
      guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    }
  }

  private static func version(_ name: String) -> UInt64? {
    name.hasSuffix(".json") ? UInt64(name.dropLast(5)) : nil
  }
}
