import DesiredStateSupport
import Foundation
import Testing

/// A folder of its own for one test: keys, documents, a drop, a store. Removed when the test is over.
final class Site: Sendable {
  let root: String
  var documents: String { root + "/documents" }
  var drop: String { root + "/drop" }
  var store: String { root + "/store" }
  var into: String { root + "/into" }
  var current: String { into + "/current" }
  var trust: String { root + "/allowed_signers" }

  init() throws {
    root = NSTemporaryDirectory() + "desired-state-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: root)
  }

  // MARK: - Files

  func write(_ text: String, to path: String) throws {
    let url = URL(fileURLWithPath: path.hasPrefix("/") ? path : root + "/" + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: url)
  }

  func read(_ path: String) throws -> String {
    try String(contentsOfFile: path.hasPrefix("/") ? path : root + "/" + path, encoding: .utf8)
  }

  func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: path) }

  /// The regular files below a directory, by relative path.
  func files(below directory: String) throws -> [String: String] {
    var files: [String: String] = [:]
    // The path is resolved first: an enumerator does not go through a link at its root.
    let directory = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path
    for case let name as String in FileManager.default.enumerator(atPath: directory) ?? .init() {
      var isDirectory: ObjCBool = false
      let path = directory + "/" + name
      if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), !isDirectory.boolValue {
        files[name] = try String(contentsOfFile: path, encoding: .utf8)
      }
    }
    return files
  }

  // MARK: - Keys

  /// Makes a key and returns its path; with `principal`, trusts it.
  func makeKey(
    _ name: String = "key", type: String = "ed25519", trustedAs principal: String? = nil, options: String = ""
  )
    async throws -> String
  {
    let path = root + "/" + name
    try await Tool.succeed("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", name, "-f", path])
    if let principal { try addTrust(in: path, principal: principal, options: options) }
    return path
  }

  func addTrust(in key: String, principal: String, options: String = "") throws {
    let before = (try? read(trust)) ?? ""
    let line = [principal, options, try read(key + ".pub")].filter { !$0.isEmpty }.joined(separator: " ")
    try write(before + line, to: trust)
  }

  // MARK: - Drops made by hand, with standard tools alone

  /// A manifest as an editor would write it, its digests from sha256sum(1).
  func manifest(
    version: String = "1", documents: [(id: String, text: String)] = [("press.yaml", "press: 1\n")],
    extensions: String = "",
    placeDocuments: Bool = true
  ) async throws -> String {
    var entries: [String] = []
    for document in documents {
      let hex = try await sha256(document.text)
      if placeDocuments { try write(document.text, to: drop + "/documents/sha256-\(hex)") }
      entries.append(
        """
        { "deploymentId": \(quoted(document.id)), "digest": "sha256:\(hex)", "sizeBytes": \(document.text.utf8.count), "url": "documents/sha256-\(hex)" }
        """)
    }
    let tail = extensions.isEmpty ? "" : ", \"x-desired-state-extensions\": { \(extensions) }"
    return
      "{ \"manifestVersion\": \(version), \"bundle\": null, \"deployments\": [\(entries.joined(separator: ",\n"))]\(tail) }\n"
  }

  func sha256(_ text: String) async throws -> String {
    String(try await Tool.succeed("sha256sum", [], input: text).prefix(64))
  }

  /// Signs and places a manifest, as a person with an editor and ssh-keygen would.
  func place(_ manifest: String, keys: [String], namespace: String = "desired-state") async throws {
    let hex = try await sha256(manifest)
    var signatures = ""
    for key in keys {
      signatures += try await Tool.succeed(
        "ssh-keygen", ["-q", "-Y", "sign", "-n", namespace, "-f", key], input: manifest)
    }
    if !keys.isEmpty { try write(signatures, to: drop + "/signatures/sha256-\(hex).sig") }
    try write(manifest, to: drop + "/manifest.json")
  }

  func publishByHand(
    version: String = "1", documents: [(id: String, text: String)] = [("press.yaml", "press: 1\n")],
    extensions: String = "", keys: [String], namespace: String = "desired-state"
  ) async throws {
    try await place(
      try await manifest(version: version, documents: documents, extensions: extensions), keys: keys,
      namespace: namespace)
  }

  private func quoted(_ text: String) -> String {
    String(decoding: try! JSONEncoder().encode(text), as: UTF8.self)
  }

  // MARK: - The program

  /// `follow --once --json --into`.
  func follow(_ source: String? = nil, trust options: [String]? = nil, device: String = "press-42", _ more: String...)
    async throws -> Finished
  {
    try await Tool.run(
      Tool.desiredState,
      ["follow", source ?? drop, "--store", store, "--into", into, "--once", "--json", "--device", device]
        + (options ?? ["--trust", trust]) + more)
  }

  /// `publish`, which must succeed.
  func publish(keys: [String], to target: String? = nil, _ more: String...) async throws {
    try await Tool.succeed(
      Tool.desiredState, ["publish", documents, "--to", target ?? drop] + keys.flatMap { ["--key", $0] } + more)
  }

  /// `status --json`.
  func status() async throws -> Status {
    let text = try await Tool.succeed(Tool.desiredState, ["status", "--store", store, "--json"])
    return try JSONDecoder().decode(Status.self, from: Data(text.utf8))
  }
}

/// What `status --json` prints.
struct Status: Decodable {
  struct Report: Decodable {
    struct Manager: Decodable { var state: String }
    var device: String
    var managers: [String: Manager]
  }
  var capabilities: [Report]?
  struct State: Decodable {
    var revision: String
    var version: UInt64?
    var signers: [Signer]
    var source: String
    var at: String
  }
  struct Signer: Decodable {
    var principals: [String]
    var key: String
  }
  struct Refused: Decodable {
    var revision: String?
    var version: UInt64?
    var code: String
    var reason: String
    var evidence: [String]
    var source: String
    var at: String
  }
  struct Source: Decodable {
    struct Failure: Decodable {
      var code: String
      var message: String
    }
    var source: String
    var lastContact: String?
    var lastError: Failure?
  }
  struct Outbox: Decodable {
    var waiting: Int
    var oldest: String?
  }
  var adopted: State?
  var applied: State?
  var refused: [Refused]
  var sources: [Source]
  var outbox: Outbox
}
