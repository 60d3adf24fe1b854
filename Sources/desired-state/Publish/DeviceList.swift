import ArgumentParser
import DesiredStateSupport

/// A file of devices: a line for each, with its name and the folders whose documents it gets. What comes after `#` is a comment.
struct DeviceList {
  struct Target: Sendable {
    /// Nil for every device.
    var device: String?
    /// Below the directory of documents; none for the whole of it.
    var folders: [String] = []
  }

  private(set) var targets: [Target] = []

  /// - Throws: ValidationError that names the line; `FileError`.
  init(reading path: String) throws {
    guard let bytes = try Files.read(path, limit: 16 << 20), let text = String(validating: bytes, as: UTF8.self) else {
      throw ValidationError("--devices: \(path) is too long, or not UTF-8 text.")
    }
    var lines: [String: Int] = [:]
    for (index, line) in text.utf8.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      let words = Substring(line).prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
      guard let device = words.first else { continue }
      func fault(_ text: String) -> ValidationError { ValidationError("--devices: \(path):\(index + 1): \(text)") }
      if let before = lines[device] { throw fault("\(quoted(device)) is on line \(before) already.") }
      for folder in words.dropFirst() where folder.hasPrefix("/") || folder.split(separator: "/").contains("..") {
        throw fault("\(quoted(folder)) is not below the directory of documents.")
      }
      lines[device] = index + 1
      targets.append(Target(device: device, folders: Array(words.dropFirst())))
    }
    guard !targets.isEmpty else { throw ValidationError("--devices: \(path) names no device.") }
  }
}
