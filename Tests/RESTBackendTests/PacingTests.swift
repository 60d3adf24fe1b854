import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

@Suite("A server that allows only so many requests", .timeLimit(.minutes(3))) struct PacingTests {
  @Test("is asked little more than it has to be, and all of a state comes in one poll")
  func limitedRate() async throws {
    let certificates = try await Certificates.shared.value
    let folder = TemporaryDirectory()
    let publication = TestPublication(version: 1, documents: Prefetching.documents(300))
    try publication.write(to: folder.path)
    let nginx = try await Nginx.start(ports: 1) { nginx in
      """
        limit_req_zone $binary_remote_addr zone=all:1m rate=50r/s;
        limit_req_status 429;
      \(NginxServer.server(
        .good, port: nginx.ports[0], certificates,
        """
        root \(folder.path);
        access_log \(nginx.directory["access.log"]) lines;
        location /documents/ { limit_req zone=all burst=2 nodelay; }
        """))
      """
    }
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: certificates.authority)
    configuration.maximumConcurrentExchanges = 256
    let backend = try RESTBackend(
      manifest: "https://localhost:\(nginx.ports[0])/manifest.json",
      transport: try HTTPTransport(configuration: configuration))
    let began = ContinuousClock.now
    #expect(try await backend.sight() == .all(of: publication))
    let asked = try await nginx.requests().filter { $0.path.hasPrefix("/documents/") }
    try await nginx.stop()
    measured(
      "300 documents at 50 a second: \(asked.count) requests, \(ContinuousClock.now - began)")
    #expect(asked.count { $0.status == 200 } == 300)
    #expect(asked.count <= 360, "\(asked.count)")
  }

  @Test("is waited for when it says until when")
  func retryAfter() async throws {
    let site = try await HostileSite.start()
    let began = ContinuousClock.now
    let error = try await site.backend(.documents, "refuse,code=429,after=1").unavailability()
    #expect(error.code == .rateLimited && error.retryAfter == .seconds(1), "\(error)")
    #expect(ContinuousClock.now - began >= .seconds(4))
    // More patience than there is within a poll: said at once, and the next poll waits.
    let long = try await site.backend(.documents, "refuse,code=503,after=600").unavailability()
    #expect(long.code == .serverError && long.retryAfter == .seconds(600), "\(long)")
  }
}

enum Prefetching {
  static func documents(_ count: Int) -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: (0..<count).map { ("document-\($0)", Array("\($0) and some more".utf8)) })
  }
}
