import Foundation
import Subprocess
import Testing

#if canImport(System)
  import System
#else
  import SystemPackage
#endif

/// A finished program: what it printed and how it ended.
struct Finished: Sendable {
  /// The exit status; a signal that ended it is its negative number.
  let status: Int32
  let output: String
  let complaint: String

  /// The events printed with `--json`.
  var events: [Event] { output.split(separator: "\n").compactMap { Event(line: $0) } }
  /// The names of the events, in order.
  var names: [String] { events.map(\.event) }
}

/// One line of `--json`.
struct Event: Decodable, Sendable {
  var event: String
  var source: String?
  var revision: String?
  var version: UInt64?
  var code: String?
  var reason: String?
  var documents: Int?
  var document: String?
  var device: String?
  var problem: String?
  var state: String?

  init?(line: some StringProtocol) {
    guard let event = try? JSONDecoder().decode(Event.self, from: Data(line.utf8)) else { return nil }
    self = event
  }
}

enum Tool {
  /// The program under test, which SwiftPM puts beside the test bundle.
  static let desiredState: String = {
    let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    return bundle.appendingPathComponent("desired-state").path
  }()

  /// Runs a program to its end.
  static func run(
    _ program: String, _ arguments: [String], input: String = "", in directory: String? = nil,
    environment: [Environment.Key: String?] = [:]
  ) async throws -> Finished {
    let result = try await Subprocess.run(
      program.contains("/") ? .path(FilePath(program)) : .name(program), arguments: Arguments(arguments),
      environment: .inherit.updating(environment), workingDirectory: directory.map { FilePath($0) },
      input: .string(input), output: .string(limit: 1 << 28), error: .string(limit: 1 << 24))
    let status: Int32 =
      switch result.terminationStatus {
      case .exited(let code): code
      case .signaled(let signal): -signal
      }
    return Finished(status: status, output: result.standardOutput, complaint: result.standardError)
  }

  /// Runs a program that must succeed, and returns what it printed.
  @discardableResult
  static func succeed(
    _ program: String, _ arguments: [String], input: String = "", in directory: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> String {
    let finished = try await run(program, arguments, input: input, in: directory)
    try #require(finished.status == 0, "\(program) \(arguments): \(finished.complaint)", sourceLocation: sourceLocation)
    return finished.output
  }
}
