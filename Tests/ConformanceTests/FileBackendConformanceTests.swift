import DesiredState
import DesiredStateTesting
import FileBackend
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite struct FileBackendConformanceTests {
  let table = ConformanceTable("Documentation/Conformance.md")

  @Test(arguments: Law.allCases) func `a drop on a disk keeps`(law: Law) async throws {
    try await Conformance("FileBackend, drop", table: table) { try DropFixture() }.check(law)
  }

  @Test(arguments: Law.allCases) func `a bundle keeps`(law: Law) async throws {
    try await Conformance("FileBackend, bundle", table: table) { try BundleFixture() }.check(law)
  }

  @Test(arguments: Law.allCases) func `a plain directory keeps`(law: Law) async throws {
    try await Conformance("FileBackend, directory", table: table) { try PlainDirectoryFixture() }.check(law)
  }
}

/// A drop in a real directory.
private final class DropFixture: ConformanceFixture {
  private struct State {
    var published: TestPublication?
    var stalled: StalledDirectory?
  }
  private let folder = TemporaryDirectory()
  private let opened: OpenCount
  private let state = Mutex(State())

  var drop: String { folder["drop"] }
  var secrets: [String] { [] }

  init() throws {
    try FileManager.default.createDirectory(atPath: folder["drop/documents"], withIntermediateDirectories: true)
    opened = OpenCount(folder["drop/documents"])
  }

  func makeBackend() async throws -> any DesiredStateBackend { FileBackend(path: drop) }

  func publish(_ publication: TestPublication) async throws { try put(publication, leavingOut: nil) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try put(publication, leavingOut: part)
  }

  private func put(_ publication: TestPublication, leavingOut part: TestPublication.Part?) throws {
    for file in publication.files where file.part != part { try replace(drop + "/" + file.path, with: file.bytes) }
    state.withLock { $0.published = publication }
  }

  func publishNothing() async throws { try? FileManager.default.removeItem(atPath: drop + "/manifest.json") }
  func makeUnreachable() async throws { try FileManager.default.moveItem(atPath: drop, toPath: folder["elsewhere"]) }
  func makeReachable() async throws { try FileManager.default.moveItem(atPath: folder["elsewhere"], toPath: drop) }

  func corrupt(_ part: TestPublication.Part) async throws {
    let path = try path(of: part)
    try replace(path, with: TestPublication.corrupted(try contents(of: path)))
  }

  func repair(_ part: TestPublication.Part) async throws {
    let path = try path(of: part)
    try TestSupport.repair(path, with: TestPublication.corrupted(try contents(of: path)))
  }

  func stall() async throws {
    // Documents are opened in their own directory, beneath one that was opened before.
    let stalled = try StalledDirectory(drop)
    state.withLock { $0.stalled = stalled }
  }

  func waitUntilStalled() async throws { try await state.withLock { $0.stalled }?.untilOpenWaits() }
  func resume() async throws { state.withLock { $0.stalled = nil } }

  // A file with a hole of a terabyte.
  func makeEndless(_ part: TestPublication.Part) async throws {
    guard truncate(try path(of: part), 1 << 40) == 0 else { throw NotPossible("the disk has no sparse files") }
  }

  func askForPatience(_ duration: Duration) async throws { throw NotPossible("a disk cannot ask for patience") }

  func traffic() async throws -> SourceTraffic {
    var reads: [Digest: Int] = [:]
    for (name, count) in opened.all() { if let digest = Digest(fileName: name) { reads[digest] = count } }
    return SourceTraffic(documentReads: reads, bytes: bytesRead())
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    let paths = FileManager.default.enumerator(atPath: drop + "/acknowledgements")?.compactMap { $0 as? String } ?? []
    return try paths.filter { $0.hasSuffix(".json") }
      .map { try ReceivedAcknowledgement(receipt: try contents(of: drop + "/acknowledgements/" + $0)) }
  }

  func tearDown() async { state.withLock { $0.stalled = nil } }

  private func path(of part: TestPublication.Part) throws -> String {
    let file = state.withLock { $0.published }?.files.first { $0.part == part }
    return drop + "/" + (try #require(file)).path
  }
}

/// A drop packed into one file, replaced as a whole.
private final class BundleFixture: ConformanceFixture {
  private let folder = TemporaryDirectory()
  private let files = Mutex<[TestPublication.File]>([])
  private let stalled = Mutex<StalledDirectory?>(nil)

  var bundle: String { folder["state.tar.gz"] }
  var secrets: [String] { [] }

  init() throws {}

  func makeBackend() async throws -> any DesiredStateBackend { FileBackend(path: bundle) }

  func publish(_ publication: TestPublication) async throws { try await pack(publication.files) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try await pack(publication.files.filter { $0.part != part })
  }

  func publishNothing() async throws { throw NotPossible("a bundle is there, or it is not") }

  func makeUnreachable() async throws { try FileManager.default.moveItem(atPath: bundle, toPath: folder["elsewhere"]) }
  func makeReachable() async throws { try FileManager.default.moveItem(atPath: folder["elsewhere"], toPath: bundle) }

  func corrupt(_ part: TestPublication.Part) async throws {
    try await change(part) { try write(TestPublication.corrupted(try contents(of: $0)), to: $0) }
  }

  func repair(_ part: TestPublication.Part) async throws {
    throw NotPossible("a bundle that is packed anew is another file")
  }

  func stall() async throws {
    let directory = try StalledDirectory(folder.path)
    stalled.withLock { $0 = directory }
  }

  func waitUntilStalled() async throws { try await stalled.withLock { $0 }?.untilOpenWaits() }
  func resume() async throws { stalled.withLock { $0 = nil } }
  func tearDown() async { stalled.withLock { $0 = nil } }

  // 100 MB of zeros, packed into a few hundred kB.
  func makeEndless(_ part: TestPublication.Part) async throws {
    try await change(part) { _ = truncate($0, 100_000_000) }
  }

  func askForPatience(_ duration: Duration) async throws { throw NotPossible("a disk cannot ask for patience") }

  func traffic() async throws -> SourceTraffic { SourceTraffic(bytes: bytesRead()) }

  private func pack(_ files: [TestPublication.File]) async throws {
    try? FileManager.default.removeItem(atPath: folder["drop"])
    for file in files { try write(file.bytes, to: folder["drop/" + file.path]) }
    self.files.withLock { $0 = files }
    try await pack()
  }

  private func change(_ part: TestPublication.Part, _ change: (String) throws -> Void) async throws {
    let file = files.withLock { $0.first { $0.part == part } }
    try change(folder["drop/" + (try #require(file)).path])
    try await pack()
  }

  private func pack() async throws {
    try await run(["tar", "-C", folder["drop"], "-I", "gzip -1", "-cf", folder["packing"], "."])
    try #require(rename(folder["packing"], bundle) == 0)
  }
}

/// A directory of documents, without a manifest.
private final class PlainDirectoryFixture: ConformanceFixture {
  private let folder = TemporaryDirectory()
  private let stalled = Mutex<StalledDirectory?>(nil)

  var directory: String { folder["plain"] }
  var secrets: [String] { [] }
  var trust: TrustPolicy { .unsigned }
  // A receipt would become a document.
  var takesAcknowledgements: Bool { false }

  init() throws { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false) }

  func makeBackend() async throws -> any DesiredStateBackend { FileBackend(path: directory) }

  func publish(_ publication: TestPublication) async throws {
    guard !publication.documents.isEmpty else { throw NotPossible("an empty directory publishes nothing") }
    for (id, bytes) in publication.documents { try replace(directory + "/" + id, with: bytes) }
    for id in names(in: directory) where publication.documents[id] == nil {
      try FileManager.default.removeItem(atPath: directory + "/" + id)
    }
  }

  func publishNothing() async throws {
    for id in names(in: directory) { try FileManager.default.removeItem(atPath: directory + "/" + id) }
  }

  func makeUnreachable() async throws {
    try FileManager.default.moveItem(atPath: directory, toPath: folder["elsewhere"])
  }
  func makeReachable() async throws { try FileManager.default.moveItem(atPath: folder["elsewhere"], toPath: directory) }

  func corrupt(_ part: TestPublication.Part) async throws {
    guard case .document(let id) = part else { throw NotPossible("a plain directory has documents only") }
    let path = directory + "/" + id
    try replace(path, with: TestPublication.corrupted(try contents(of: path)))
  }

  func repair(_ part: TestPublication.Part) async throws {
    throw NotPossible("a changed file of a plain directory is another state")
  }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    throw NotPossible("a plain directory has no manifest that could come before its documents")
  }

  func makeEndless(_ part: TestPublication.Part) async throws {
    guard case .document(let id) = part else { throw NotPossible("a plain directory has documents only") }
    guard truncate(directory + "/" + id, 1 << 40) == 0 else { throw NotPossible("the disk has no sparse files") }
  }

  func stall() async throws {
    let directory = try StalledDirectory(directory)
    stalled.withLock { $0 = directory }
  }

  func waitUntilStalled() async throws { try await stalled.withLock { $0 }?.untilOpenWaits() }
  func resume() async throws { stalled.withLock { $0 = nil } }
  func traffic() async throws -> SourceTraffic { SourceTraffic(bytes: bytesRead()) }
  func askForPatience(_ duration: Duration) async throws { throw NotPossible("a disk cannot ask for patience") }
  func tearDown() async { stalled.withLock { $0 = nil } }
}

/// Puts a file in place as a whole.
private func replace(_ path: String, with bytes: [UInt8]) throws {
  // Hidden, so that it is no document of a plain directory.
  let temporary = (path as NSString).deletingLastPathComponent + "/.new"
  try write(bytes, to: temporary)
  try #require(rename(temporary, path) == 0)
}
