import DesiredState
import Foundation
import TestSupport
import Testing

@testable import FileBackend

@Suite("Fetching a plain directory")
struct PlainDirectoryTests {
  let folder = TemporaryDirectory()
  var path: String { folder["plain"] }

  func backend(settling: Duration = .seconds(3)) -> FileBackend { FileBackend(path: path, settling: settling) }

  @Test("Its files are the documents, named by their paths and sorted by bytes; hidden ones are left out")
  func documents() async throws {
    let names = ["b", "a/x", "a.yaml", "ä", "z/deep/er", "C"]
    for name in names + ["a/.hidden", ".git/config"] { try write(name, to: "\(path)/\(name)") }
    let state = try #require(try await backend().fetch(FetchRequest()).state)
    #expect(state.isSynthesised)
    #expect(state.signatures.isEmpty)
    let verified = try state.verified()
    #expect(verified.manifest.version == nil)
    #expect(verified.manifest.documents.map(\.id) == ["C", "a.yaml", "a/x", "b", "z/deep/er", "ä"])
    let documents = try await state.allDocuments()
    #expect(documents == Dictionary(uniqueKeysWithValues: names.map { ($0, Array($0.utf8)) }))
  }

  @Test("The same files are the same revision, from any directory and after any time")
  func unchanged() async throws {
    try write("one", to: path + "/a")
    let backend = backend()
    let first = try #require(try await backend.fetch(FetchRequest()).state)
    #expect(try await backend.fetch(FetchRequest(current: first.revision)).isUnchanged)
    try write("one", to: folder["other/a"])
    let other = try #require(try await FileBackend(path: folder["other"]).fetch(FetchRequest()).state)
    #expect(other.revision == first.revision)
    for (name, text) in [("b", "two"), ("a", "One"), ("a", "eno")] {
      let before = try #require(try await backend.fetch(FetchRequest()).state).revision
      try write(text, to: "\(path)/\(name)")
      #expect(try await backend.fetch(FetchRequest(current: before)).state != nil, "\(name) \(text)")
    }
    let before = try #require(try await backend.fetch(FetchRequest()).state).revision
    try FileManager.default.removeItem(atPath: path + "/b")
    #expect(try await backend.fetch(FetchRequest(current: before)).state != nil)
  }

  @Test("A file is read again only if it has changed")
  func cached() throws {
    for name in ["a", "b", "c"] { try write(name, to: "\(path)/\(name)") }
    var plain = PlainDirectory(settling: .zero)
    _ = try plain.documents(below: path, limits: Limits(), began: .now)
    #expect(plain.digested == 3)
    _ = try plain.documents(below: path, limits: Limits(), began: .now)
    #expect(plain.digested == 3)
    try write("B", to: path + "/b")
    let documents = try plain.documents(below: path, limits: Limits(), began: .now)
    #expect(plain.digested == 4)
    #expect(documents?.map(\.digest) == [.of("a".utf8), .of("B".utf8), .of("c".utf8)])
  }

  @Test("A file that has just changed is read again at every poll, but once a poll")
  func unsettled() throws {
    for name in ["a", "b"] { try write(name, to: "\(path)/\(name)") }
    var plain = PlainDirectory(settling: .seconds(3600))
    let began = ContinuousClock.now
    for _ in 0..<3 { _ = try plain.documents(below: path, limits: Limits(), began: began) }
    #expect(plain.digested == 2)
    _ = try plain.documents(below: path, limits: Limits(), began: .now)
    #expect(plain.digested == 4)
  }

  @Test(
    "What is no regular file is refused by name", arguments: ["link", "dangling", "linked directory", "fifo", "socket"])
  func special(kind: String) async throws {
    try write("one", to: path + "/a")
    let special = path + "/special"
    switch kind {
    case "link": try #require(symlink("a", special) == 0)
    case "dangling": try #require(symlink("nowhere", special) == 0)
    case "linked directory": try #require(symlink("/etc", special) == 0)
    case "fifo": try #require(mkfifo(special, 0o644) == 0)
    default: try await run(["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).bind('\(special)')"])
    }
    let error = try await thrown(VerificationError.self) { _ = try await backend().fetch(FetchRequest()) }
    #expect(error.code == .manifestMalformed)
    #expect(error.reason.contains("special"), "\(error)")
  }

  @Test("Directories alone are no state, and neither is a directory whose files are all gone")
  func empty() async throws {
    try write("one", to: path + "/sub/a")
    let backend = backend()
    #expect(try await backend.fetch(FetchRequest()).state != nil)
    try FileManager.default.removeItem(atPath: path + "/sub/a")
    #expect(try await backend.fetch(FetchRequest()).isAbsent)
  }

  @Test("A file that changes between the poll and the reading is a digest mismatch, one that goes is missing")
  func changing() async throws {
    try write("one", to: path + "/a")
    let state = try #require(try await backend().fetch(FetchRequest()).state)
    try write("two", to: path + "/a")
    var error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .digestMismatch)
    try FileManager.default.removeItem(atPath: path + "/a")
    error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .documentMissing)
    try write("one", to: folder["one"])
    try #require(symlink("../one", path + "/a") == 0)
    error = try await thrown(VerificationError.self) { _ = try await state.allDocuments() }
    #expect(error.code == .documentMissing)
  }

  @Test("Counts and sizes over the limits are refused, and names that are not UTF-8")
  func limits() async throws {
    for name in ["a", "b", "c"] { try write("12345", to: "\(path)/\(name)") }
    for limits in [Limits(documentCount: 2), Limits(documentSize: 4), Limits(totalSize: 14)] {
      let error = try await thrown(VerificationError.self) {
        _ = try await backend().fetch(FetchRequest(limits: limits))
      }
      #expect(error.code == .limitExceeded)
    }
    try #require(
      close(
        open([CChar](("\(path)/n").utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0], O_CREAT | O_WRONLY, 0o644))
        == 0)
    let error = try await thrown(VerificationError.self) { _ = try await backend().fetch(FetchRequest()) }
    #expect(error.code == .unsafeDocumentID)
  }

  @Test("A directory too large for one slice is looked at in several, also over several fetches")
  func large() async throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try await run(["truncate", "-s", "300M", path + "/a", path + "/b"])
    let backend = backend(settling: .zero)
    var timeouts = 0
    while true {
      do {
        let state = try #require(try await backend.fetch(FetchRequest(timeout: .milliseconds(100))).state)
        let documents = try state.verified().manifest.documents
        #expect(documents[0].digest == documents[1].digest)
        #expect(documents[0].advisorySize == 300 << 20)
        break
      } catch let error as BackendError {
        #expect(error.code == .timeout)
        timeouts += 1
        try #require(timeouts < 1000)
      }
    }
    print("a poll at 600 MB took \(timeouts + 1) fetches")
  }

  @Test(
    "A plain directory becomes a drop when a manifest comes, and a drop without one is not taken for a plain directory")
  func becomesDrop() async throws {
    try write("one", to: path + "/a")
    let backend = backend()
    #expect(try await backend.fetch(FetchRequest()).state?.isSynthesised == true)
    let revision = try HandMadeDrop.small(at: path).publish(version: 1)
    #expect(try await backend.fetch(FetchRequest()).state?.revision == revision)
    try FileManager.default.removeItem(atPath: path + "/manifest.json")
    #expect(try await backend.fetch(FetchRequest()).isAbsent)
  }
}
