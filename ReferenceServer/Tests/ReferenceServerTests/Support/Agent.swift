import Foundation

/// The command line of the package above: `swift build --product desired-state`. Tests that need it say that they are skipped
/// where it is not built.
enum Agent {
  static let repository = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../..").standardized
  static let program = repository.appendingPathComponent(".build/debug/desired-state").path
  static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: program) }

  /// Runs a program to its end.
  ///
  /// - Returns: its status, and all it wrote.
  static func run(_ arguments: [String], of program: String = program) async throws -> (status: Int32, words: String) {
    try await onThread {
      let process = Process()
      let pipe = Pipe()
      process.executableURL = URL(fileURLWithPath: program)
      process.arguments = arguments
      (process.standardOutput, process.standardError) = (pipe, pipe)
      try process.run()
      let words = pipe.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      return (process.terminationStatus, String(decoding: words, as: UTF8.self))
    }
  }
}
