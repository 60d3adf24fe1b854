import Foundation
import Testing

/// A page in headless Chromium (`Fixtures/page.py`).
final class Browser: Sendable {
  /// Where Chromium is; nil if it is not installed (`apt-get install chromium`).
  static let program = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  private let process: Process
  private let input: FileHandle
  private let output: FileHandle

  /// Opens a page.
  init(_ url: String) throws {
    process = Process()
    let (input, output) = (Pipe(), Pipe())
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let script = URL(fileURLWithPath: #filePath).appendingPathComponent("../../Fixtures/page.py").standardized
    process.arguments = ["python3", script.path, Self.program ?? "chromium", url]
    (process.standardInput, process.standardOutput) = (input, output)
    try process.run()
    (self.input, self.output) = (input.fileHandleForWriting, output.fileHandleForReading)
  }

  /// Waits until an expression of JavaScript is true on the page.
  ///
  /// - Returns: `ok`, or its last value and the text of the page.
  func sees(_ expression: String) async throws -> String {
    try await onThread { [self] in
      try input.write(contentsOf: Data((expression + "\n").utf8))
      var line = Data()
      while let byte = try output.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
      return String(decoding: line, as: UTF8.self)
    }
  }

  /// Ends the browser.
  func close() async {
    try? input.close()
    _ = try? await onThread { [process] in process.waitUntilExit() }
  }
}
