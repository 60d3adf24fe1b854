import Foundation
import Glibc

/// A directory of the test's own, gone when let go of.
package final class TemporaryDirectory: Sendable {
  package let path: String

  /// Everything of this process, gone at its end with everything that its tests share.
  private static let base: String = {
    atexit { try? FileManager.default.removeItem(atPath: "\(NSTemporaryDirectory())desired-state-\(getpid())") }
    return "\(NSTemporaryDirectory())desired-state-\(getpid())/"
  }()

  package init() {
    path = Self.base + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of something in it.
  package subscript(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, and returns its path.
  @discardableResult
  package func write(_ name: String, _ text: String) throws -> String {
    try TestSupport.write(text, to: self[name])
    return self[name]
  }

  /// A file's text; empty if there is none. By hand: Foundation leaks a buffer for every empty file it reads.
  package func read(_ name: String) -> String {
    let descriptor = open(self[name], O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 { text += buffer[..<count] }
    return String(decoding: text, as: UTF8.self)
  }
}

package func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

/// Writes a file, and the directories above it that are not there yet.
package func write(_ bytes: [UInt8], to path: String) throws {
  let directory = (path as NSString).deletingLastPathComponent
  try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}

package func contents(of path: String) throws -> [UInt8] {
  Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// What a directory holds, sorted; nothing if it is not there.
package func names(in path: String) -> [String] {
  ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
}
