import DesiredState
import Foundation
import Testing

/// A temporary directory that goes away with the test.
final class Folder: Sendable {
  let path: String

  init() {
    path = NSTemporaryDirectory() + "desired-state-file-" + UUID().uuidString
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

/// Runs a program and returns what it printed; fails the test if it fails.
@discardableResult
func run(_ program: String, _ arguments: String..., in directory: String? = nil) async throws -> String {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
  let printed = NSTemporaryDirectory() + "desired-state-output-" + UUID().uuidString
  _ = FileManager.default.createFile(atPath: printed, contents: nil)
  defer { try? FileManager.default.removeItem(atPath: printed) }
  let output = try FileHandle(forWritingTo: URL(fileURLWithPath: printed))
  process.standardOutput = output
  process.standardError = output
  // Not waitUntilExit: it would block a thread of the cooperative pool, of which there may be two.
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    process.terminationHandler = { _ in continuation.resume() }
    do {
      try process.run()
    } catch {
      continuation.resume(throwing: error)
    }
  }
  let text = String(decoding: try contents(of: printed), as: UTF8.self)
  try #require(process.terminationStatus == 0, "\(program) \(arguments): \(text)")
  return text
}

/// A drop made by hand, without this package's writer.
struct HandMadeDrop {
  let path: String
  var documents: [(id: String, bytes: [UInt8])] = []

  init(at path: String) { self.path = path }

  var references: [DocumentReference] {
    documents.map { document in
      let digest = Digest.of(document.bytes)
      return DocumentReference(
        id: document.id, digest: digest, advisorySize: UInt64(document.bytes.count), url: "documents/\(digest.fileName)"
      )
    }
  }

  func manifest(version: UInt64) -> [UInt8] { StateManifest(version: version, documents: references).encoded() }

  /// Writes documents, signature and manifest, and returns the revision.
  @discardableResult
  func publish(version: UInt64, signature: String? = "signature") throws -> Revision {
    try writeDocuments()
    let manifest = manifest(version: version)
    let revision = Revision(ofManifest: manifest)
    if let signature { try write(signature, to: "\(path)/signatures/\(revision.digest.fileName).sig") }
    try writeManifest(manifest)
    return revision
  }

  func writeDocuments() throws {
    for document in documents {
      try write(document.bytes, to: "\(path)/documents/\(Digest.of(document.bytes).fileName)")
    }
  }

  func writeManifest(_ manifest: [UInt8]) throws {
    try write(manifest, to: "\(path)/.manifest.tmp")
    try #require(rename("\(path)/.manifest.tmp", "\(path)/manifest.json") == 0)
  }
}

extension HandMadeDrop {
  /// Three small documents.
  static func small(at path: String) -> HandMadeDrop {
    var drop = HandMadeDrop(at: path)
    drop.documents = [("a.yaml", Array("alpha\n".utf8)), ("b/c.yaml", Array("beta\n".utf8)), ("empty", [])]
    return drop
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

extension FetchedState {
  /// Puts the state through the verifier without asking for signatures.
  func verified() throws -> VerifiedState {
    try Verifier(policy: .unsigned, device: "press-42", now: Date()).admit(self)
  }

  /// Every document's bytes by id, verified.
  func allDocuments() async throws -> [String: [UInt8]] {
    let verified = try verified()
    var found: [String: [UInt8]] = [:]
    for document in verified.readingOrder(of: verified.manifest.documents) {
      found[document.id] = try await collect(verified.open(document))
    }
    return found
  }
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

/// How many descriptors this process has open.
func openDescriptors() -> Int { names(in: "/proc/self/fd").count }
