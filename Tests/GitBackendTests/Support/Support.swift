import DesiredState
import Foundation
import Subprocess
import SystemPackage
import Testing

/// A temporary directory that goes away with the test.
final class Folder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "desired-state-git-" + UUID().uuidString
    try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  subscript(_ name: String) -> String { path + "/" + name }
}

func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

func write(_ bytes: [UInt8], to path: String) throws {
  let directory = (path as NSString).deletingLastPathComponent
  try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
  try Data(bytes).write(to: URL(fileURLWithPath: path))
}

func contents(of path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

func names(in path: String) -> [String] {
  ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
}

/// Runs a program and returns what it printed, without the last line's end; fails the test if it fails.
@discardableResult
func run(
  _ arguments: [String], in directory: String? = nil, input: [UInt8]? = nil, environment: [String: String] = [:]
) async throws -> String {
  let result = try await Subprocess.run(
    .name(arguments[0]), arguments: Arguments(Array(arguments.dropFirst())),
    environment: .inherit.updating(
      [
        // Whoever runs the tests has a configuration of their own, and an agent.
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "SSH_AUTH_SOCK": nil, "GIT_TERMINAL_PROMPT": "0",
      ].merging(environment.mapKeys()) { $1 }),
    workingDirectory: directory.map { FilePath($0) }, input: .array(input ?? []), output: .bytes(limit: 64 << 20),
    error: .string(limit: 1 << 20))
  let text = String(decoding: result.standardOutput, as: UTF8.self)
  try #require(result.terminationStatus.isSuccess, "\(arguments): \(text)\(result.standardError)")
  return text.hasSuffix("\n") ? String(text.dropLast()) : text
}

extension [String: String] {
  fileprivate func mapKeys() -> [Environment.Key: String?] {
    [Environment.Key: String?](uniqueKeysWithValues: map { (Environment.Key(stringLiteral: $0.key), $0.value) })
  }
}

/// SSH keys of people, made once a process by ssh-keygen.
struct Keys: Sendable {
  let folder = Folder()

  static let shared = Task { try await Keys() }

  private init() async throws {
    for name in ["operator", "second", "stranger"] {
      try await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder[name]])
    }
  }

  func publicKey(_ name: String) throws -> String {
    String(decoding: try contents(of: folder["\(name).pub"]), as: UTF8.self)
      .split(separator: " ").prefix(2).joined(separator: " ")
  }

  /// The policy that trusts these people's keys, each under its own name.
  func policy(
    _ names: [String] = ["operator"], namespaces: String = "git", threshold: Int = 1
  ) throws -> TrustPolicy {
    let lines = try names.map { "\($0)@plant.example namespaces=\"\(namespaces)\" \(try publicKey($0))\n" }
    return .signatures(by: try AllowedSigners(parsing: lines.joined()), threshold: threshold)
  }
}

extension FetchResult {
  /// The state, if there is a new one.
  var state: FetchedState? {
    if case .changed(let state) = outcome { state } else { nil }
  }
  var isUnchanged: Bool { if case .unchanged = outcome { true } else { false } }
  var isAbsent: Bool { if case .absent = outcome { true } else { false } }
}

func collect(_ bytes: some AsyncSequence<[UInt8], any Error>) async throws -> [UInt8] {
  var all: [UInt8] = []
  for try await chunk in bytes { all += chunk }
  return all
}

/// The error of a kind that an operation throws; fails the test if it throws none or another.
func thrown<Failure: Error>(
  _ type: Failure.Type, at location: SourceLocation = #_sourceLocation, _ work: () async throws -> Void
) async throws -> Failure {
  do {
    try await work()
  } catch let error as Failure {
    return error
  } catch {
    Issue.record("expected \(type), got \(error)", sourceLocation: location)
    throw error
  }
  Issue.record("expected \(type), nothing was thrown", sourceLocation: location)
  throw CancellationError()
}
