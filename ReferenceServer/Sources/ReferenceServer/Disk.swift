import FoundationEssentials
import NIOPosix

/// Files of the server's own, on threads that may block.
enum Disk {
  static func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive(work)
  }

  /// The file's bytes; nil if it is not there.
  static func read(_ path: String) throws -> [UInt8]? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    return Array(try Data(contentsOf: URL(filePath: path)))
  }

  /// Puts a file in place whole, with the directories above it: under another name first, synchronised, then renamed.
  static func replace(_ path: String, with bytes: [UInt8]) throws {
    let file = URL(filePath: path)
    try createDirectory(file.deletingLastPathComponent().path)
    try Data(bytes).write(to: file, options: .atomic)
  }

  static func createDirectory(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  /// Removes a file or directory; false if it is not there.
  @discardableResult
  static func remove(_ path: String) throws -> Bool {
    guard FileManager.default.fileExists(atPath: path) else { return false }
    try FileManager.default.removeItem(atPath: path)
    return true
  }

  /// What a directory holds, sorted, without hidden files; nothing if it is not there.
  static func names(in directory: String) throws -> [String] {
    guard isDirectory(directory) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: directory).filter { !$0.hasPrefix(".") }.sorted()
  }

  static func isDirectory(_ path: String) -> Bool {
    var isDirectory = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
  }

  /// Any text as the name of a file: itself if every file system takes it, else its digest.
  static func fileName(for text: String) -> String {
    text.utf8.allSatisfy { isPlain($0) } && text.utf8.count <= 100 && !text.hasPrefix(".")
      ? text : "sha256-" + DigestText.hexadecimal(of: text)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || "._-".utf8.contains(byte)
  }
}
