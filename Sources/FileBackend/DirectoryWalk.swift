package import DesiredState
package import DesiredStateSupport
import Glibc

/// Finds the documents of a directory that is not a drop: the regular files below it, each named by its relative path.
package enum DirectoryWalk {
  package struct Entry {
    /// The relative path, which is the document's id.
    package let id: String
    package let status: FileStatus
  }

  /// The regular files below a directory, sorted by the bytes of their paths. Names that start with a dot are left out.
  ///
  /// - Throws: ``VerificationError`` if something is no file or directory, a name is no text, or there are too many;
  ///   ``FileError`` if the disk cannot be read.
  package static func files(below root: String, limits: Limits) throws -> [Entry] {
    var files: [Entry] = []
    var directories = [""]
    var visited = 0
    while let directory = directories.popLast() {
      visited += 1
      guard visited <= limits.documentCount else {
        throw VerificationError(.limitExceeded, "\(root) has more than \(limits.documentCount) directories")
      }
      let listed = directory.isEmpty ? try Files.names(in: root) : try names(in: Files.join(root, directory))
      for name in listed where !DropLayout.isHidden(name) {
        let id = directory.isEmpty ? name : Files.join(directory, name)
        guard id.utf8.count <= 4000 else {
          throw VerificationError(
            .unsafeDocumentID, "the path \(shown(id)) below \(root) is too long for a document's id")
        }
        guard let status = FileStatus(at: Files.join(root, id)) else {
          // Listing a name that is no UTF-8 repairs it, and then nothing is there under the repaired one.
          guard !id.unicodeScalars.contains("\u{FFFD}") else {
            throw VerificationError(.unsafeDocumentID, "the name \(shown(id)) below \(root) is not UTF-8; rename it")
          }
          continue  // gone since it was listed
        }
        if status.isDirectory {
          directories.append(id)
        } else if status.isRegular {
          guard files.count < limits.documentCount else {
            throw VerificationError(.limitExceeded, "\(root) has more files than the limit of \(limits.documentCount)")
          }
          files.append(Entry(id: id, status: status))
        } else {
          throw VerificationError(
            .manifestMalformed,
            status.isSymbolicLink
              ? "\(shown(id)) in \(root) is a symbolic link, and a document must be a regular file; put the file itself there"
              : "\(shown(id)) in \(root) is neither a regular file nor a directory; remove it")
        }
      }
    }
    return files.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) }
  }

  private static func names(in path: String) throws(FileError) -> [String] {
    do {
      return try Files.names(in: path)
    } catch  where error.code == ENOENT {
      return []  // gone since it was listed
    }
  }

  package static func shown(_ text: String) -> String { quoted(text, limit: 120) }
}
