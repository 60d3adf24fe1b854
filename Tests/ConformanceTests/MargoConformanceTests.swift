import DesiredState
import DesiredStateTesting
import Foundation
import RESTBackend
import RESTTestSupport
import Synchronization
import TestSupport
import Testing

@Suite struct MargoConformanceTests {
  let table = ConformanceTable("Documentation/Conformance.md")

  @Test(.timeLimit(.minutes(5)), arguments: Law.allCases) func `a fleet manager's client keeps`(law: Law) async throws {
    try await Conformance("MargoBackend", table: table) { try await MargoFixture() }.check(law)
  }
}

/// A fleet manager with TLS 1.3, for a client with a SPIFFE certificate.
private final class MargoFixture: ConformanceFixture {
  private let site: MargoSite
  private let published = Mutex<MargoState?>(nil)

  let secrets: [String] = []
  /// The API has no signatures: what vouches is the channel.
  let trust = TrustPolicy.channel

  init() async throws { site = try await MargoSite.start() }

  func makeBackend() async throws -> any DesiredStateBackend { try site.backend() }

  func publish(_ publication: TestPublication) async throws { try put(publication, leavingOut: nil) }

  func publishPartially(_ publication: TestPublication, leavingOut part: TestPublication.Part) async throws {
    guard case .document(let id) = part else { throw NotPossible("the API has no signatures") }
    try put(publication, leavingOut: id)
  }

  private func put(_ publication: TestPublication, leavingOut id: String?) throws {
    let state = MargoState(version: publication.version, publication.documents)
    try site.publish(state, leavingOut: id)
    published.withLock { $0 = state }
  }

  func publishNothing() async throws { site.remove("manifest.json") }
  func makeUnreachable() async throws { try await site.stop() }
  func makeReachable() async throws { try await site.start() }

  func refusals(ofCorrupted part: TestPublication.Part) -> Set<VerificationError.Code> {
    // A manifest is trusted as it comes over the channel; one that is broken is no manifest.
    part == .manifest ? [.manifestMalformed, .unsupportedDigest, .digestMismatch, .documentMissing] : [.digestMismatch]
  }

  func corrupt(_ part: TestPublication.Part) async throws {
    let path: String
    switch part {
    case .manifest: path = "manifest.json"
    case .signatures: throw NotPossible("the API has no signatures")
    case .document(let id): path = "artifacts/\(try digest(of: id).hexadecimal)"
    }
    let url = URL(fileURLWithPath: site.file(path))
    try Data(TestPublication.corrupted(Array(try Data(contentsOf: url)))).write(to: url)
  }

  func repair(_ part: TestPublication.Part) async throws {
    guard case .document(let id) = part else { throw NotPossible("only documents are repaired in place") }
    let path = site.file("artifacts/\(try digest(of: id).hexadecimal)")
    try TestSupport.repair(path, with: TestPublication.corrupted(try contents(of: path)))
  }

  private func digest(of id: String) throws -> Digest {
    Digest.of(try #require(published.withLock { $0?.documents[id] }))
  }

  func stall() async throws { try await site.freeze() }
  func waitUntilStalled() async throws { try await untilClientWaits(atPort: site.port) }
  func resume() async throws { site.thaw() }

  func makeEndless(_ part: TestPublication.Part) async throws {
    switch part {
    case .manifest: try site.write("endless", "manifest")
    case .signatures: throw NotPossible("the API has no signatures")
    case .document(let id): try site.write("endless", try digest(of: id).hexadecimal)
    }
  }

  func askForPatience(_ duration: Duration) async throws {
    try site.write(
      "problem",
      """
      {"status": 503, "headers": {"Retry-After": "\(duration.components.seconds)"},
       "body": "{\\"type\\": \\"about:blank\\", \\"title\\": \\"Busy\\", \\"status\\": 503, \\"retryable\\": true}"}
      """)
  }

  func traffic() async throws -> SourceTraffic {
    let requests = site.requests
    var reads: [Digest: Int] = [:]
    for request in requests where request.method == "GET" {
      if let name = request.path.split(separator: "/").last, let digest = try? Digest(parsing: String(name)) {
        reads[digest, default: 0] += 1
      }
    }
    return SourceTraffic(
      manifestReads: requests.filter { $0.path == "/api/v1/deployments" && $0.status == 200 }.count,
      documentReads: reads, bytes: requests.map(\.bytes).reduce(0, +))
  }

  func receivedAcknowledgements() async throws -> [ReceivedAcknowledgement] {
    // The manager keeps one status per deployment; what comes again takes its place.
    var newest: [String: ReceivedAcknowledgement] = [:]
    for status in site.statuses {
      newest[status.deploymentId] = ReceivedAcknowledgement(
        subject: .document(status.deploymentId), state: status.status.state)
    }
    return Array(newest.values)
  }

  func tearDown() async { site.thaw() }
}
