import DesiredState
import DesiredStateTesting
import Foundation
import Glibc
import RESTBackend
import RESTTestSupport
import Synchronization
import TestSupport
import Testing

@Suite struct RESTBackendConformanceTests {
  let table = ConformanceTable("Documentation/Conformance.md")

  @Test(.timeLimit(.minutes(5)), arguments: Law.allCases) func `a drop behind nginx keeps`(law: Law) async throws {
    try await Conformance("RESTBackend, drop", table: table) { try await DropFixture() }.check(law)
  }
}

/// A drop behind nginx, over TLS 1.3 and HTTP/2, for devices with a certificate and a token.
private final class DropFixture: ConformanceFixture {
  private let site: DropSite
  private let published = Mutex<TestPublication?>(nil)

  var secrets: [String] { [DropSite.token] }

  init() async throws { site = try await DropSite.start() }

  func makeBackend() async throws -> any DesiredStateBackend { try site.backend() }

  func publish(_ publication: TestPublication) async throws { try put(publication, leavingOut: nil) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    try put(publication, leavingOut: part)
  }

  private func put(_ publication: TestPublication, leavingOut part: TestPublication.Part?) throws {
    try site.publish(publication, leavingOut: part)
    published.withLock { $0 = publication }
  }

  func publishNothing() async throws { try? FileManager.default.removeItem(atPath: site.drop + "/manifest.json") }
  func makeUnreachable() async throws { try await site.stop() }
  func makeReachable() async throws { try await site.start() }

  func corrupt(_ part: TestPublication.Part) async throws {
    let path = try path(of: part)
    let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    try site.replace(path, with: TestPublication.corrupted(Array(bytes)))
  }

  func repair(_ part: TestPublication.Part) async throws {
    let path = try path(of: part)
    try TestSupport.repair(path, with: TestPublication.corrupted(try contents(of: path)))
  }

  func stall() async throws { try await site.freeze() }
  func waitUntilStalled() async throws { try await untilClientWaits(atPort: site.port) }
  func resume() async throws { site.thaw() }

  // A file with a hole of 64 GiB; nginx compresses it while it sends, so that nothing says beforehand how long it is.
  func makeEndless(_ part: TestPublication.Part) async throws {
    let path = try path(of: part)
    guard truncate(path, 64 << 30) == 0 else { throw NotPossible("the disk has no sparse files") }
    try site.age(path)
  }

  func askForPatience(_ duration: Duration) async throws {
    try await site.restart(
      with:
        "add_header Retry-After \(duration.components.seconds) always; location = /drop/manifest.json { return 503; }")
  }

  func traffic() async throws -> SourceTraffic {
    let requests = try await site.requests()
    var reads: [Digest: Int] = [:]
    for request in requests where request.method == "GET" && request.path.hasPrefix("/drop/documents/") {
      if let digest = Digest(fileName: request.path.dropFirst("/drop/documents/".count)) {
        reads[digest, default: 0] += 1
      }
    }
    let manifests = requests.filter { $0.path == "/drop/manifest.json" && $0.status == 200 }
    return SourceTraffic(
      manifestReads: manifests.count, documentReads: reads, bytes: requests.map(\.sent).reduce(0, +))
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    let folder = site.drop + "/acknowledgements"
    let paths = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return try paths.filter { $0.hasSuffix(".json") }.map {
      try ReceivedAcknowledgement(receipt: Array(try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0))))
    }
  }

  func tearDown() async { site.thaw() }

  private func path(of part: TestPublication.Part) throws -> String {
    let file = published.withLock { $0 }?.files.first { $0.part == part }
    return site.drop + "/" + (try #require(file)).path
  }
}
