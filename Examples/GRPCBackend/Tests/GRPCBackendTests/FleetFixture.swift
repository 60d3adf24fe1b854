import DesiredState
import DesiredStateTesting
import FleetServer
import Foundation
import GRPCBackend
import Synchronization

/// A server of its own for each law, on a directory of its own. Its own counts give the verdicts.
final class FleetFixture: ConformanceFixture {
  private let directory = FileManager.default.temporaryDirectory.appending(path: "fleet-\(UUID().uuidString)")
  private var drop: URL { directory.appending(path: "press-42") }
  private let service: FleetService
  private let server: Mutex<Task<Void, Never>?> = Mutex(nil)
  private let port = Mutex(0)
  private let published = Mutex<TestPublication?>(nil)

  init() async throws {
    try FileManager.default.createDirectory(
      at: directory.appending(path: "press-42"), withIntermediateDirectories: true)
    service = FleetService(directory: directory.path)
    try await makeReachable()
  }

  /// The backend is given none.
  var secrets: [String] { [] }

  func makeBackend() async throws -> any DesiredStateBackend {
    var registry = BackendRegistry()
    GRPCBackend.register(in: &registry)
    return try registry.backend(
      for: "grpc://127.0.0.1:\(port.withLock { $0 })/press-42", context: BackendContext(device: "conformance"))
  }

  func publish(_ publication: TestPublication) async throws {
    try write(publication.files)
    published.withLock { $0 = publication }
  }

  func publishNothing() async throws { try? FileManager.default.removeItem(at: drop.appending(path: "manifest.json")) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try write(publication.files.filter { $0.part != part })
  }

  func corrupt(_ part: TestPublication.Part) async throws {
    let files = published.withLock { $0 }?.files.filter { $0.part == part } ?? []
    for file in files { try put(file.path, TestPublication.corrupted(file.bytes)) }
  }

  func repair(_ part: TestPublication.Part) async throws {
    try write(published.withLock { $0 }?.files.filter { $0.part == part } ?? [])
  }

  func makeUnreachable() async throws {
    let task = server.withLock { $0.take() }
    task?.cancel()
    await task?.value
  }

  func makeReachable() async throws {
    guard server.withLock({ $0 == nil }) else { return }
    let fleet = FleetServer(service, host: "127.0.0.1", port: port.withLock { $0 })
    let task = Task { _ = try? await fleet.serve() }
    server.withLock { $0 = task }
    let taken = try await fleet.port()
    port.withLock { $0 = taken }
  }

  func stall() async throws { service.conduct.withLockedValue { $0.isStalled = true } }
  func resume() async throws { service.conduct.withLockedValue { $0.isStalled = false } }

  func makeEndless(_ part: TestPublication.Part) async throws {
    let file = published.withLock { $0 }?.files.first { $0.part == part }
    service.conduct.withLockedValue { $0.endless = file?.path }
  }

  func askForPatience(_ duration: Duration) async throws {
    service.conduct.withLockedValue { $0.patience = Int(duration.components.seconds) * 1000 }
  }

  func traffic() async throws -> SourceTraffic {
    service.conduct.withLockedValue { conduct in
      var documents: [Digest: Int] = [:]
      for (path, count) in conduct.reads where path.hasPrefix("documents/") {
        if let digest = Digest(fileName: path.dropFirst("documents/".count)) { documents[digest] = count }
      }
      return SourceTraffic(
        manifestReads: conduct.reads[DropLayout.manifest] ?? 0, documentReads: documents, bytes: conduct.bytes)
    }
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    let folder = drop.appending(path: DropLayout.acknowledgements)
    let files = (FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? [])
      .filter { $0.hasSuffix(".json") }.map { folder.appending(path: $0) }
    let dated = try files.map { file in
      (try FileManager.default.attributesOfItem(atPath: file.path)[.modificationDate] as? Date ?? .distantPast, file)
    }
    return try dated.sorted { $0.0 < $1.0 }.map {
      try ReceivedAcknowledgement(receipt: [UInt8](Data(contentsOf: $0.1)))
    }
  }

  func tearDown() async {
    try? await makeUnreachable()
    try? FileManager.default.removeItem(at: directory)
  }

  private func write(_ files: [TestPublication.File]) throws { for file in files { try put(file.path, file.bytes) } }

  private func put(_ path: String, _ bytes: [UInt8]) throws {
    let file = drop.appending(path: path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file, options: .atomic)
  }
}
