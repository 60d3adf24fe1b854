import Foundation
import HTTPTestSupport
import Testing

/// What a device does at a fleet manager, from its first word on, in the order of the public guides: capabilities,
/// deployments, artifacts, status, and nothing new.
@Suite(.timeLimit(.minutes(5))) struct `A device at a fleet manager, step by step` {
  let site: Site
  let certificates: Certificates

  init() async throws {
    site = try Site()
    certificates = try await Certificates.shared.value
  }

  private struct Request: Decodable {
    var method: String
    var path: String
    var status: Int
    var fields: [String: String]
  }

  @Test func `capabilities, deployments, artifacts, status, and 304, over mutual TLS`() async throws {
    let server = try await PythonServer.start(
      "margo",
      [
        "--root", site.root, "--tls", certificates.certificate("wfm"), certificates.key("wfm"), "--client-ca",
        certificates.authority,
      ])
    let source = "margo+https://localhost:\(server.port)"
    let transport = [
      "--tls-ca", certificates.authority, "--tls-cert", certificates.certificate("wfm-client"), "--tls-key",
      certificates.key("wfm-client"),
    ]
    let digest = try await site.sha256("press: 1\n")
    try site.write("press: 1\n", to: "artifacts/\(digest)")
    try site.write(
      #"{"manifestVersion": 1, "bundle": null, "deployments": [{"deploymentId": "press", "digest": "sha256:\#(digest)", "url": "/api/v1/deployments/press/sha256:\#(digest)"}]}"#,
      to: "manifest.json")
    try site.write(
      """
      {"properties": {"id": "press-42", "vendor": "V", "modelNumber": "M", "serialNumber": "S",
       "cpus": [{"cores": 4, "architecture": "arm64"}], "memory": "8Gi", "storage": "64Gi", "peripherals": [],
       "interfaces": [{"type": "ethernet"}], "otelCollector": true, "supportedRuntimes": ["oci"],
       "supportedDeploymentTypes": ["compose"]}}
      """, to: "capabilities.json")
    let options = ["--trust-channel", "--capabilities", site.root + "/capabilities.json"] + transport
    #expect(try await site.follow(source, trust: options).status == 0)
    let told = try await Tool.run(
      Tool.desiredState,
      [
        "acknowledge", source, "--store", site.store, "--document", "press", "--state", "installed", "--component",
        "web=installed", "--device", "press-42", "--json",
      ] + transport)
    #expect(told.status == 0, "\(told)")
    #expect(try await site.follow(source, trust: options).names == ["unchanged"])
    let requests = try server.log.split(separator: "\n").map {
      try JSONDecoder().decode(Request.self, from: Data($0.utf8))
    }
    #expect(
      requests.map { "\($0.method) \($0.path.dropFirst("/api/v1".count)) \($0.status)" } == [
        "PUT /capabilities/press-42 201", "GET /deployments 200", "GET /deployments/press/sha256:\(digest) 200",
        "POST /deployments/press/status 201", "GET /deployments 304",
      ])
    let revision = try await site.sha256(try site.read("manifest.json"))
    #expect(requests.last?.fields["if-none-match"] == "\"sha256:\(revision)\"")
  }
}
