import DesiredState
import DesiredStateSupport
import Glibc

/// The directory of a repository on this disk, looked at before libgit2 opens anything in it.
///
/// libgit2 opens whatever has the right name: a FIFO stops its thread for ever, a file of 3 GB is read into memory, and
/// a repository of a format that it does not know is read, and written, as if it were another one.
struct RepositoryDirectory: Sendable {
  /// Why the repository is not opened.
  struct Refusal: Error {
    let code: BackendError.Code
    let message: String
  }

  /// The directory that holds `HEAD`, `objects` and `refs`.
  let path: String
  /// Whether it is the `.git` of a working tree.
  let hasWorkingTree: Bool

  /// The bytes of a file that is read as a whole.
  private static let largestReference = 4096
  private static let largestText = 1 << 20
  private static let largestPackedReferences = 64 << 20
  /// The bytes of a loose object, which libgit2 reads as a whole, as it is stored.
  private static let largestLooseObject = 512 << 20

  /// - Parameter path: a bare repository, or the directory that its `.git` is in.
  /// - Throws: ``Refusal``.
  init(_ path: String) throws(Refusal) {
    let below = Files.join(path, ".git")
    hasWorkingTree =
      path.split(separator: "/").last == ".git"
      || !Files.isDirectory(Files.join(path, "objects"))
        && Files.isDirectory(below)
    self.path = hasWorkingTree && path.split(separator: "/").last != ".git" ? below : path
    try check("HEAD", limit: Self.largestReference)
    try check("config", limit: Self.largestText)
    try check("packed-refs", limit: Self.largestPackedReferences)
    try RepositoryFormat(try text("config")).check()
    try objectDirectories()
  }

  /// Looks at the files of references, and of those that they lead to.
  func check(references names: [String]) throws(Refusal) {
    for name in names {
      var name = name
      for _ in 0..<6 {
        try check(name, limit: Self.largestReference)
        let content = String(decoding: try text(name).prefix(Self.largestReference), as: UTF8.self)
        guard content.hasPrefix("ref:") else { break }
        name = String(content.dropFirst(4)).trimmingWhitespace()
        guard !name.contains(".."), !name.hasPrefix("/") else { break }
      }
    }
  }

  /// Looks at every file of a reference.
  func checkReferences() throws(Refusal) { try checkFiles(below: "refs", limit: Self.largestReference, depth: 8) }

  /// Looks at the files that objects are in.
  func checkObjects() throws(Refusal) {
    try check("shallow", limit: Self.largestText)
    for objects in try objectDirectories() {
      for name in try names(in: objects) {
        let folder = "\(objects)/\(name)"
        if name.utf8.count == 2 {
          try checkFiles(below: folder, limit: Self.largestLooseObject, depth: 0)
        } else if name == "pack" || name == "info" {
          // They are mapped into memory, piece by piece.
          try checkFiles(below: folder, limit: .max, depth: 1)
        }
      }
    }
  }

  /// Where objects are: in the repository, and in those that it borrows from (gitrepository-layout(5), alternates).
  @discardableResult
  private func objectDirectories() throws(Refusal) -> [String] {
    var directories: [String] = []
    var others = ["objects"]
    while let objects = others.popLast(), directories.count < 16 {
      guard !directories.contains(objects) else { continue }
      directories.append(objects)
      let alternates = "\(objects)/info/alternates"
      try check(alternates, limit: Self.largestText)
      for line in String(decoding: try text(alternates), as: UTF8.self).split(separator: "\n")
      where !line.hasPrefix("#") {
        others.append(line.hasPrefix("/") ? String(line) : "\(objects)/\(line)")
      }
    }
    return directories
  }

  private func full(_ name: String) -> String { name.hasPrefix("/") ? name : Files.join(path, name) }

  private func names(in folder: String) throws(Refusal) -> [String] { (try? Files.names(in: full(folder))) ?? [] }

  private func checkFiles(below folder: String, limit: Int, depth: Int) throws(Refusal) {
    for name in try names(in: folder) {
      let name = "\(folder)/\(name)"
      if Files.isDirectory(full(name)) {
        if depth > 0 { try checkFiles(below: name, limit: limit, depth: depth - 1) }
      } else {
        try check(name, limit: limit)
      }
    }
  }

  /// That something is a regular file of a size that can be, or is not there. Symbolic links are followed, as libgit2
  /// does.
  private func check(_ name: String, limit: Int) throws(Refusal) {
    var buffer = stat()
    guard stat(full(name), &buffer) == 0 else { return }
    let status = FileStatus(buffer)
    guard !status.isDirectory else { return }
    guard status.isRegular else {
      throw Refusal(code: .protocolViolation, message: "\(quoted(name)) in it is not a regular file; remove it")
    }
    guard status.size <= limit else {
      throw Refusal(
        code: .protocolViolation, message: "\(quoted(name)) in it has \(status.size) bytes, more than \(limit)")
    }
  }

  private func text(_ name: String) throws(Refusal) -> [UInt8] {
    guard let bytes = try? Files.read(full(name), limit: Self.largestText) else { return [] }
    return bytes
  }
}

extension String {
  fileprivate func trimmingWhitespace() -> String {
    String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}
