import DesiredState
import DesiredStateSupport
import Glibc

/// How a file of ``CurrentTree`` looks as long as it was not touched.
struct CurrentFile: Sendable {
  var size: Int
  /// The nanoseconds of its modification time.
  var seal: Int32

  /// Whether a directory holds exactly these files, by relative path, and each as it was left: names, sizes, times.
  static func areWhole(_ files: [String: CurrentFile], below directory: String) throws(FileError) -> Bool {
    guard let root = try Files.status(of: directory), root.isDirectory else { return false }
    // FAT keeps no nanoseconds, not of directories either; there sizes must do.
    let keepsNanoseconds = root.modified.tv_nsec != 0
    var found = 0
    var folders = [""]
    while let folder = folders.popLast() {
      for name in try Files.names(in: Files.join(directory, folder)) {
        let relative = folder.isEmpty ? name : "\(folder)/\(name)"
        guard let status = try Files.status(of: Files.join(directory, relative)) else { return false }
        if status.isDirectory {
          folders.append(relative)
          continue
        }
        guard status.isRegular, let file = files[relative], status.size == file.size,
          !keepsNanoseconds || status.modified.tv_nsec == Int(file.seal)
        else { return false }
        found += 1
      }
    }
    return found == files.count
  }
}

/// Symbolic links, read as links.
enum SymbolicLink {
  /// Where a link leads; nil if there is none.
  static func destination(of link: String) throws(FileError) -> String? {
    guard let status = try Files.status(of: link), status.isSymbolicLink else { return nil }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
      readlink(link, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard count >= 0 else { throw FileError("read the symbolic link", link) }
    return String(decoding: buffer.prefix(count), as: UTF8.self)
  }
}
