import DesiredState
import DesiredStateSupport
import Glibc

/// Removes from a drop the files that no manifest needs any more; never one that this package did not name.
enum DropPruning {
  /// Removes documents, signatures and bundles that the manifest in place does not name.
  static func prune(_ root: String, keeping manifest: StateManifest, revision: Revision) throws(FileError) {
    let documents = Set(manifest.documents.map(\.digest.fileName))
    try remove(in: Files.join(root, DropLayout.documents)) { Digest(fileName: $0) != nil && !documents.contains($0) }
    try remove(in: Files.join(root, DropLayout.signatures)) { name in
      isNamed(name, ".sig") && name != revision.digest.fileName + ".sig"
    }
    try remove(in: Files.join(root, DropLayout.bundles)) { name in
      isNamed(name, ".tar.gz") && name != manifest.bundle.map { $0.digest.fileName + ".tar.gz" }
    }
  }

  /// Removes the temporary files of publishers that were killed. Only the holder of the lock may: then they are dead.
  static func removeTemporaries(of root: String) throws(FileError) {
    for folder in [DropLayout.documents, DropLayout.signatures, DropLayout.bundles, DropLayout.trust] {
      try remove(in: Files.join(root, folder), where: isTemporary)
    }
    try removeTemporaries(in: root, of: DropLayout.manifest)
  }

  /// Removes the temporary files beside one file.
  static func removeTemporaries(in folder: String, of path: String) throws(FileError) {
    let name = path.split(separator: "/").last ?? ""
    try remove(in: folder) { $0.hasPrefix(".\(name).") && isTemporary($0) }
  }

  /// Whether a name is one of ``Files/temporaryName(for:)``: `.name.<process id>.tmp`.
  private static func isTemporary(_ name: String) -> Bool {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count >= 4 && parts[0].isEmpty && parts.last == "tmp" && Int(parts[parts.count - 2]) != nil
  }

  private static func isNamed(_ name: String, _ suffix: String) -> Bool {
    name.hasSuffix(suffix) && Digest(fileName: name.dropLast(suffix.count)) != nil
  }

  private static func remove(in folder: String, where isUnneeded: (String) -> Bool) throws(FileError) {
    let names: [String]
    do throws(FileError) {
      names = try Files.names(in: folder)
    } catch {
      guard error.code == ENOENT else { throw error }
      return
    }
    for name in names where isUnneeded(name) {
      let path = Files.join(folder, name)
      guard unlink(path) == 0 || errno == ENOENT else { throw FileError("remove", path) }
    }
  }
}
