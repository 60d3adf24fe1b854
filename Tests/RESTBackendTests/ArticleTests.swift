import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

/// The configuration of nginx in the article about drops over HTTP, as it stands there but for its paths and its port.
@Suite struct `The article about drops over HTTP` {
  static func blocks() throws -> [String] {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let article = try String(
      contentsOf: package.appendingPathComponent("Sources/RESTBackend/RESTBackend.docc/Drops-over-HTTP.md"),
      encoding: .utf8)
    return article.components(separatedBy: "```nginx\n").dropFirst().compactMap {
      $0.components(separatedBy: "\n```").first
    }
  }

  @Test(.timeLimit(.minutes(5))) func `has all of a configuration that works`() async throws {
    let blocks = try Self.blocks()
    try #require(blocks.count == 2)
    let certificates = try await Certificates.shared.value
    let directory = TemporaryDirectory()
    let nginx = try await Nginx.start(ports: 1) { nginx in
      var text = blocks[0]
      for (written, meant) in [
        ("listen 443", "listen 127.0.0.1:\(nginx.ports[0])"), ("updates.plant.example", "localhost"),
        ("/etc/ssl/updates.pem", certificates.certificate("server")),
        ("/etc/ssl/updates.key", certificates.key("server")), ("/srv/drops", directory.path),
        // The second block goes into the server of the first.
        ("root ", "\(blocks[1])\n  root "),
      ] {
        guard text.contains(written) else { throw ChildProcess.Failure(description: "no '\(written)' in the article") }
        text = text.replacing(written, with: meant)
      }
      return text
    }
    let publication = TestPublication.version(5)
    try publication.write(to: directory["press"])
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: certificates.authority)
    let transport = try HTTPTransport(configuration: configuration)
    let origin = "https://localhost:\(nginx.ports[0])"
    let backend = try RESTBackend(
      manifest: "\(origin)/press/manifest.json", receipts: "acknowledgements", transport: transport)
    #expect(try await backend.sight() == .all(of: publication))
    #expect(try await backend.sight(current: publication.revision) == .unchanged)

    let acknowledgement = Acknowledgement(
      device: "press-42", revision: publication.revision, adoptedManifestVersion: 5, time: Date(), outcome: .adopted)
    try await backend.acknowledge(acknowledgement)
    let receipt = try Data(
      contentsOf: URL(fileURLWithPath: directory["press/acknowledgements/press-42/state.json"]))
    #expect(try Array(receipt) == Receipt(acknowledgement).bytes)

    func caching(_ path: String) async throws -> String? {
      try await transport.send(.get("\(origin)/press/\(path)")).response.headerFields[.cacheControl]
    }
    #expect(try await caching("manifest.json") == "no-cache")
    let document = try #require(publication.files.first { $0.part == .document("press") })
    #expect(try await caching(document.path)?.contains("immutable") == true)
  }
}
