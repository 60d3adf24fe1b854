import DesiredState
import Foundation
import HTTPTransport
import HTTPTypes
import Testing

@testable import ReferenceServer

@Suite(.timeLimit(.minutes(2))) struct IdentityTests {
  /// A server with certificates, which press-42 and press-43 may talk to.
  private func withSite(
    as name: String?, requiresCertificate: Bool = true, _ body: @escaping @Sendable (TestSite) async throws -> Void
  ) async throws {
    let certificates = try await Certificates.shared.value
    let tls = ReferenceServerConfiguration.TLS(
      certificateFile: certificates.file("server.pem"), keyFile: certificates.file("server.key"),
      clientAuthorityFile: requiresCertificate ? certificates.authority : nil)
    let client = name.map { certificates.certificate($0) }
    try await TestSite.run(client: client, configuration: .init(dataDirectory: "", tls: tls)) {
      site async throws in
      try site.write("press.yaml", "recipe: 42\n")
      try site.write("press.yaml", "recipe: 43\n", client: "press-43")
      try await body(site)
    }
  }

  @Test(arguments: ["press-42", "press-43"]) func `the caller is who its certificate says`(client: String) async throws
  {
    try await withSite(as: client) { site async throws in
      let manifest = try await site.get("/api/v1/deployments").json(ServedManifest.self)
      let document = try await site.get(manifest.deployments[0].url)
      #expect(document.text == "recipe: \(client.suffix(2))\n")
      #expect(try await site.get("/api/v1/clients/\(client)/deployments").status == 200)
      let other = client == "press-42" ? "press-43" : "press-42"
      #expect(try await site.get("/api/v1/clients/\(other)/deployments").status == 403)
    }
  }

  @Test(arguments: ["elsewhere", "nameless", "manager"])
  func `a certificate of the right authority for somebody else is not accepted`(name: String) async throws {
    try await withSite(as: name) { site async throws in
      let answer = try await site.get("/api/v1/deployments")
      #expect(answer.status == 403)
      #expect(try answer.json(TestSite.ProblemDetails.self).type.hasSuffix("#not-authorized"))
      #expect(try await site.get("/api/v1/clients/press-42/deployments").status == 403)
    }
  }

  @Test(arguments: ["authority", "cert-signer", "list-signer"])
  func `a certificate of the right name that could make others is not accepted`(name: String) async throws {
    try await withSite(as: name) { site async throws in
      let answer = try await site.get("/api/v1/deployments")
      #expect(answer.status == 403)
      #expect(try answer.json(TestSite.ProblemDetails.self).type.hasSuffix("#not-authorized"))
    }
    // One that names its use, and has no other, is.
    try await withSite(as: "signer") { site async throws in
      #expect(try await site.get("/api/v1/deployments").status == 200)
    }
  }

  @Test func `a client whose directory is gone is no client any more`() async throws {
    try await withSite(as: "press-42") { site async throws in
      #expect(try await site.get("/api/v1/deployments").status == 200)
      try FileManager.default.removeItem(atPath: site.data + "/clients/press-42")
      #expect(try await site.get("/api/v1/deployments").status == 403)
    }
  }

  @Test(arguments: ["stranger", nil])
  func `a certificate of another authority, or none, makes no connection`(name: String?) async throws {
    try await withSite(as: name) { site async throws in
      await #expect(throws: HTTPTransportError.self) { _ = try await site.get("/api/v1/deployments") }
    }
  }

  @Test func `without a client authority, TLS needs no certificate and knows nobody`() async throws {
    try await withSite(as: nil, requiresCertificate: false) { site async throws in
      #expect(try await site.get("/api/v1/deployments").status == 403)
      #expect(try await site.get("/api/v1/clients/press-42/deployments").status == 200)
    }
  }

  @Test func `names are read strictly`() {
    let manager = WorkloadIdentity("spiffe://plant.example/margo/wfm/main")
    #expect(manager?.client == nil && manager != nil)
    let client = WorkloadIdentity("spiffe://plant.example/margo/wfm/main/client/press-42")
    #expect(client?.client == "press-42")
    for text in [
      "", "https://plant.example/margo/wfm/main", "spiffe:///margo/wfm/main", "spiffe://plant.example/margo/wfm",
      "spiffe://plant.example/margo/wfm/main/client", "spiffe://plant.example/margo/wfm/main/client/..",
      "spiffe://plant.example/margo/wfm/main/client/", "spiffe://plant.example/margo/wfm/main/client/a/b",
      "spiffe://plant.example/margo/wfm/ma in", "spiffe://plant.example/other/wfm/main",
    ] {
      #expect(WorkloadIdentity(text) == nil, "\(text)")
    }
  }

  @Test func `files that are no certificates are said to be none`() throws {
    #expect(throws: ReferenceServerError.self) {
      _ = try ReferenceServer(
        ReferenceServerConfiguration(
          dataDirectory: "/nonexistent", tls: .init(certificateFile: "/dev/null", keyFile: "/dev/null")))
    }
  }
}
