import DesiredState
import DesiredStateSupport
import Foundation
import TestSupport
import Testing

@testable import FileBackend

@Suite("Acknowledging to a drop")
struct AcknowledgeTests {
  let folder = TemporaryDirectory()
  var drop: HandMadeDrop { .small(at: folder["drop"]) }
  var backend: FileBackend { FileBackend(path: folder["drop"]) }
  var receipts: String { folder["drop/acknowledgements/press-42"] }

  func acknowledgement(_ outcome: Acknowledgement.Outcome = .adopted, time: Double = 1_800_000_000)
    -> Acknowledgement
  {
    Acknowledgement(
      id: "id-\(time)", device: "press-42", revision: Revision(.of([1])), adoptedManifestVersion: 7,
      time: Date(timeIntervalSince1970: time), outcome: outcome)
  }

  @Test("A receipt is written below the drop, and the same acknowledgement again is the same file")
  func receipt() async throws {
    try drop.publish(version: 1)
    let backend = backend
    #expect(backend.capabilities.contains(.acknowledges))
    let acknowledgement = acknowledgement()
    try await backend.acknowledge(acknowledgement)
    #expect(try contents(of: receipts + "/state.json") == Receipt(acknowledgement).bytes)
    let before = FileStatus(at: receipts + "/state.json")
    try await backend.acknowledge(acknowledgement)
    #expect(names(in: receipts) == ["state.json"])
    #expect(FileStatus(at: receipts + "/state.json") == before)
  }

  @Test("A newer acknowledgement about a subject takes the place of the one before")
  func newer() async throws {
    try drop.publish(version: 1)
    let backend = backend
    try await backend.acknowledge(acknowledgement(.document(DocumentStatus(documentID: "b/c.yaml", state: .pending))))
    let newer = acknowledgement(
      .document(DocumentStatus(documentID: "b/c.yaml", state: .installed)), time: 1_800_000_001)
    try await backend.acknowledge(newer)
    #expect(names(in: receipts + "/documents") == ["b%2fc.yaml.json"])
    #expect(try contents(of: receipts + "/documents/b%2fc.yaml.json") == Receipt(newer).bytes)
  }

  @Test("Receipts do not change what the drop publishes, nor make an unpublished one a plain directory")
  func invisible() async throws {
    try drop.writeDocuments()
    try await backend.acknowledge(acknowledgement())
    #expect(try await backend.fetch(FetchRequest()).isAbsent)
    let revision = try drop.publish(version: 1)
    try await backend.acknowledge(acknowledgement())
    #expect(try await backend.fetch(FetchRequest(current: revision)).isUnchanged)
  }

  @Test(
    "A plain directory, an empty one, a bundle and a missing one take no receipts, and nothing is written",
    arguments: ["plain", "empty", "file", "missing"])
  func notADrop(kind: String) async throws {
    switch kind {
    case "plain": try write("a document", to: folder["drop/a.yaml"])
    case "empty": try FileManager.default.createDirectory(atPath: folder["drop"], withIntermediateDirectories: true)
    case "file": try write("a bundle", to: folder["drop"])
    default: break
    }
    let before = names(in: folder["drop"])
    let error = try await thrown(BackendError.self) { try await backend.acknowledge(acknowledgement()) }
    #expect(error.code == (kind == "plain" || kind == "file" ? .unsupported : .unreachable))
    #expect(kind == "missing" || error.message.contains("outbox"), "\(error)")
    #expect(names(in: folder["drop"]) == before)
  }

  @Test("A drop mounted read-only refuses receipts, which wait", .enabled(if: getuid() == 0))
  func readOnly() async throws {
    try drop.publish(version: 1)
    try await run(["mount", "--bind", folder["drop"], folder["drop"]])
    defer { _ = umount(folder["drop"]) }
    try await run(["mount", "-o", "remount,bind,ro", folder["drop"]])
    let error = try await thrown(BackendError.self) { try await backend.acknowledge(acknowledgement()) }
    #expect(error.code == .forbidden)
    #expect(error.message.contains("read-only") && error.message.contains("outbox"), "\(error)")
    #expect(try await backend.fetch(FetchRequest()).state != nil)
  }

  @Test(
    "A file where a receipt's directory should be is an error, not overwritten",
    arguments: ["acknowledgements", "acknowledgements/press-42"])
  func inTheWay(path: String) async throws {
    try drop.publish(version: 1)
    try write("in the way", to: folder["drop/" + path])
    let error = try await thrown(BackendError.self) { try await backend.acknowledge(acknowledgement()) }
    #expect(error.code == .protocolViolation)
    #expect(try contents(of: folder["drop/" + path]) == Array("in the way".utf8))
  }

  @Test(
    "A receipt is never written through a symbolic link",
    arguments: ["acknowledgements", "acknowledgements/press-42", "acknowledgements/press-42/state.json"])
  func link(path: String) async throws {
    try drop.publish(version: 1)
    try write("untouched", to: folder["outside/state.json"])
    try FileManager.default.createDirectory(
      atPath: (folder["drop/" + path] as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    let isFile = path.hasSuffix(".json")
    try #require(symlink(isFile ? folder["outside/state.json"] : folder["outside"], folder["drop/" + path]) == 0)
    if isFile {
      // The link itself is replaced.
      try await backend.acknowledge(acknowledgement())
    } else {
      let error = try await thrown(BackendError.self) { try await backend.acknowledge(acknowledgement()) }
      #expect(error.code == .protocolViolation)
    }
    #expect(names(in: folder["outside"]) == ["state.json"])
    #expect(try contents(of: folder["outside/state.json"]) == Array("untouched".utf8))
  }
}
