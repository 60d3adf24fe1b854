import Foundation
import Subprocess
import SystemPackage
import Testing

/// Runs a program and returns what it printed, without the last line's end; fails the test if it fails.
@discardableResult
package func run(
  _ arguments: [String], in directory: String? = nil, input: [UInt8]? = nil, environment: [String: String] = [:]
) async throws -> String {
  // The user who runs the tests may have a configuration of git, and an agent.
  var changes: [Environment.Key: String?] = [
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "SSH_AUTH_SOCK": nil, "GIT_TERMINAL_PROMPT": "0",
  ]
  for (name, value) in environment { changes[Environment.Key(stringLiteral: name)] = value }
  let result = try await Subprocess.run(
    .name(arguments[0]), arguments: Arguments(Array(arguments.dropFirst())), environment: .inherit.updating(changes),
    workingDirectory: directory.map { FilePath($0) }, input: .array(input ?? []), output: .bytes(limit: 64 << 20),
    error: .string(limit: 1 << 20))
  let text = String(decoding: result.standardOutput, as: UTF8.self)
  try #require(result.terminationStatus.isSuccess, "\(arguments): \(text)\(result.standardError)")
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

/// Runs what may block on a thread of its own.
package func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    Thread { continuation.resume(with: Result { try body() }) }.start()
  }
}
