import Foundation
import HTTPMessageSignatures
import HTTPTransport
import RESTBackend
import Testing

// A device that has adopted something is made here without a store.
@testable import DesiredState
@testable import ReferenceServer

/// The real client of this project against the server, in both forms.
@Suite(.timeLimit(.minutes(2))) struct EndToEndTests {
  @Test func `an agent with a certificate follows, reports and refuses`() async throws {
    let certificates = try await Certificates.shared.value
    let client = certificates.certificate("press-42")
    let tls = ReferenceServerConfiguration.TLS(
      certificateFile: certificates.file("server.pem"), keyFile: certificates.file("server.key"),
      clientAuthorityFile: certificates.authority)
    try await TestSite.run(client: client, configuration: .init(dataDirectory: "", tls: tls)) {
      site async throws in
      var settings = HTTPTransportConfiguration()
      settings.tls.trust = .only(file: certificates.authority)
      settings.tls.clientCertificate = certificates.certificate("press-42")
      let transport = try HTTPTransport(configuration: try MargoBackend.mutualTLS(settings))
      let backend = try MargoBackend(base: site.base, transport: transport)
      try await follow(backend, at: site, client: "press-42", policy: .channel)
      await transport.shutdown()
    }
  }

  @Test func `an agent that onboards and signs follows, reports and refuses`() async throws {
    let certificates = try await Certificates.shared.value
    try await TestSite.run(configuration: .init(dataDirectory: "", requiresSignatures: true)) { site async throws in
      let transport = try HTTPTransport()
      let key = try HTTPSigningKey(pem: String(contentsOfFile: certificates.file("device.key"), encoding: .utf8))
      let client = try await MargoBackend.onboard(
        base: site.base, certificate: String(contentsOfFile: certificates.file("device.pem"), encoding: .utf8),
        key: key,
        transport: transport)
      let backend = try MargoBackend(
        base: site.base, clientID: client, transport: transport,
        signRequest: MargoBackend.signature(by: key, keyID: client))
      try await follow(backend, at: site, client: client, policy: .unsigned)
      await transport.shutdown()
    }
  }

  @Test func `the root certificate of the older form is handed out, and is what the server is believed by`()
    async throws
  {
    let certificates = try await Certificates.shared.value
    let tls = ReferenceServerConfiguration.TLS(
      certificateFile: certificates.file("server.pem"), keyFile: certificates.file("server.key"))
    let configuration = ReferenceServerConfiguration(
      dataDirectory: "", tls: tls, rootCertificateFile: certificates.authority)
    try await TestSite.run(configuration: configuration) { site async throws in
      var settings = HTTPTransportConfiguration()
      settings.tls.trust = .only(file: certificates.authority)
      let transport = try HTTPTransport(configuration: settings)
      let root = try await MargoBackend.rootCertificate(base: site.base, transport: transport)
      #expect(root == (try String(contentsOfFile: certificates.authority, encoding: .utf8)))
      let file = site.data + "/root.pem"
      try FileManager.default.createDirectory(atPath: site.data, withIntermediateDirectories: true)
      try root.write(toFile: file, atomically: true, encoding: .utf8)
      settings.tls.trust = .only(file: file)
      let second = try HTTPTransport(configuration: settings)
      #expect(try await MargoBackend.rootCertificate(base: site.base, transport: second) == root)
      await transport.shutdown()
      await second.shutdown()
    }
    try await TestSite.run { site async throws in
      let transport = try HTTPTransport()
      let error = await #expect(throws: BackendError.self) {
        _ = try await MargoBackend.rootCertificate(base: site.base, transport: transport)
      }
      #expect(error?.code == .unsupported)
      await transport.shutdown()
    }
  }

  private func follow(
    _ backend: MargoBackend, at site: TestSite, client: String, policy: TrustPolicy
  ) async throws {
    try site.write("press.yaml", "recipe: 1\n", client: client)
    try site.write("belt.yaml", "speed: 1\n", client: client)
    let first = try await look(backend, policy)
    #expect(first.documents == ["press": "recipe: 1\n", "belt": "speed: 1\n"])
    let again = try await backend.fetch(FetchRequest(current: first.revision, marker: first.marker))
    guard case .unchanged = again.outcome else {
      Issue.record("it is unchanged")
      return
    }
    try site.write("press.yaml", "recipe: 2\n", client: client)
    #expect(try await look(backend, policy, floor: first).documents["press"] == "recipe: 2\n")

    let acknowledgement = Acknowledgement(
      device: "press-42", revision: first.revision, adoptedManifestVersion: 1, time: Date(),
      outcome: .document(
        DocumentStatus(
          documentID: "press", state: .failed, components: [.init(name: "web", state: .failed)])))
    try await backend.acknowledge(acknowledgement)
    let statuses = try await site.get("/admin/statuses").json([Reports.Status].self)
    #expect(statuses.map(\.status.status.state) == [.failed])
    #expect(statuses.map(\.client) == [client])

    for (fault, code) in [
      ("wrong-digest", VerificationError.Code.digestMismatch), ("missing", .documentMissing),
      ("rollback", .versionRollback), ("equivocation", .versionEquivocation),
    ] {
      let newest = try await look(backend, policy)
      try await site.faults("[{\"fault\": \"\(fault)\"}]")
      let error = await #expect(throws: VerificationError.self, "\(fault)") {
        _ = try await look(backend, policy, floor: fault == "wrong-digest" || fault == "missing" ? nil : newest)
      }
      #expect(error?.code == code)
      try await site.faults("[]")
    }
    for (fault, codes) in [
      ("rate-limited", [BackendError.Code.rateLimited]), ("unavailable", [.serverError]),
      // Without a certificate or a token at stake the redirect is followed, to a host that does not exist.
      ("redirect", [.protocolViolation, .unreachable]),
    ] {
      try await site.faults("[{\"fault\": \"\(fault)\", \"seconds\": 30}]")
      let error = await #expect(throws: BackendError.self, "\(fault)") { _ = try await look(backend, policy) }
      #expect(error.map { codes.contains($0.code) } == true, "\(fault): \(String(describing: error))")
      if fault != "redirect" { #expect(error?.retryAfter == .seconds(30)) }
      try await site.faults("[]")
    }
    #expect(try await look(backend, policy).documents["press"] == "recipe: 2\n", "all is well again")
  }

  private struct Sight {
    var revision: Revision
    var version: UInt64?
    var marker: String?
    var documents: [String: String]
  }

  /// Looks, verifies and reads every document.
  private func look(_ backend: MargoBackend, _ policy: TrustPolicy, floor: Sight? = nil) async throws -> Sight {
    let result = try await backend.fetch(FetchRequest())
    guard case .changed(let state) = result.outcome else { throw TestSite.ReferenceServerFailure("nothing is there") }
    let verified = try await backend.verify(
      state,
      with: Verifier(
        policy: policy, device: "press-42",
        floor: floor.flatMap { sight in sight.version.map { VersionFloor(version: $0, revision: sight.revision) } },
        now: Date()))
    var documents: [String: String] = [:]
    for document in verified.manifest.documents {
      var bytes: [UInt8] = []
      for try await piece in try await verified.open(document) { bytes += piece }
      documents[document.id] = String(decoding: bytes, as: UTF8.self)
    }
    return Sight(
      revision: verified.revision, version: verified.manifest.version, marker: result.marker, documents: documents)
  }
}
