import Foundation
import HTTPTypes
import Testing

@testable import ReferenceServer

@Suite(.timeLimit(.minutes(2))) struct ReportTests {
  private let root = "/api/v1/clients/press-42"

  private func status(
    id: String = "press", version: String = "1", state: String = "installed", component: String? = nil
  ) -> String {
    let components = component.map { "[{\"name\": \"web\", \"state\": \"\($0)\"}]" } ?? "[]"
    return """
      {"apiVersion": "deployment.margo.org/v1alpha1", "kind": "DeploymentStatusManifest", "deploymentId": "\(id)",
       "deviceId": "press-42", "adoptedManifestVersion": \(version), "status": {"state": "\(state)"},
       "components": \(components)}
      """
  }

  @Test(arguments: ["/api/v1", "/api/v1/clients/press-42"])
  func `statuses are kept, the newest of each deployment, and listed after a restart`(root: String) async throws {
    let data = NSTemporaryDirectory() + "reference-server-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: data) }
    try await TestSite.run(data: data, configuration: .init(dataDirectory: "", assumedClient: "press-42")) {
      site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      try site.write("line/belt.yaml", "speed: 1\n")
      _ = try await site.get(root + "/deployments")
      let path = root + "/deployments/press/status"
      #expect(try await site.send(.post, path, body: status(state: "installing")).status == 201)
      #expect(try await site.send(.post, path, body: status()).status == 200)
      #expect(try await site.send(.post, path, body: status()).status == 200)
      let other = status(id: "line/belt", state: "failed", component: "failed")
      #expect(try await site.send(.post, root + "/deployments/line%2Fbelt/status", body: other).status == 201)
    }
    try await TestSite.run(data: data) { site async throws in
      let all = try await site.get("/admin/statuses").json([Reports.Status].self)
      #expect(Set(all.map(\.status.deploymentId)) == ["press", "line/belt"])
      let press = try #require(all.first { $0.status.deploymentId == "press" })
      #expect(press.client == "press-42" && press.deliveries == 2 && press.status.status.state == .installed)
      #expect(abs(press.receivedAt.timeIntervalSinceNow) < 100)
      #expect(try await site.get("/admin/statuses?client=press-43").json([Reports.Status].self).isEmpty)
      #expect(try await site.get("/admin/statuses?client=press-42").json([Reports.Status].self).count == 2)
    }
  }

  @Test func `a status that the specification does not have is refused, field by field`() async throws {
    try await TestSite.run { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      _ = try await site.get(root + "/deployments")
      let path = root + "/deployments/press/status"
      #expect(try await site.send(.post, path, body: "no json").status == 400)
      #expect(try await site.send(.post, path, body: "").status == 400)
      for (body, field) in [
        ("{}", "deploymentId"), (status(id: "belt"), "deploymentId"), (status(version: "0"), "adoptedManifestVersion"),
        (status(version: "2"), "adoptedManifestVersion"), (status(version: "\"1\""), "adoptedManifestVersion"),
        (status(version: "18446744073709551616"), "a number, or the whole"), (status(state: "perfect"), "status.state"),
        (status(state: "installed", component: "failed"), "status.state"),
        (status(component: "perfect"), "components[0].state"),
        (status().replacing("press-42", with: "press 42"), "deviceId"),
        (status().replacing("\"},", with: "\", \"error\": {\"code\": \"1\"}},"), "status.error.source"),
      ] {
        let answer = try await site.send(.post, path, body: body)
        #expect(answer.status == 422, "\(body)")
        #expect(try answer.json(TestSite.ProblemDetails.self).errors?.map(\.field) == [field], "\(body)")
      }
      let long = String(repeating: " ", count: 2 << 20)
      #expect(try await site.send(.post, path, body: long).status == 413)
      #expect(try await site.get("/admin/statuses").json([Reports.Status].self).isEmpty)
    }
  }

  @Test func `devices report themselves, and those behind them, and go`() async throws {
    @Sendable func capabilities(_ id: String) -> String {
      """
      {"properties": {"id": "\(id)", "vendor": "Acme", "modelNumber": "1", "serialNumber": "2",
       "supportedRuntimes": ["oci"], "cpus": [{"cores": 4, "architecture": "arm64"}]}}
      """
    }
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      let path = "/api/v1/capabilities/gateway"
      #expect(try await site.send(.put, path + "/child", body: capabilities("gateway/child")).status == 404)
      #expect(try await site.send(.put, path, body: capabilities("gateway")).status == 201)
      #expect(try await site.send(.put, path, body: capabilities("gateway")).status == 200)
      #expect(try await site.send(.put, path + "/child", body: capabilities("gateway/child")).status == 201)
      let ofClient = root + "/capabilities/belt"
      #expect(try await site.send(.post, ofClient, body: capabilities("belt")).status == 201)
      #expect(try await site.send(.put, ofClient, body: capabilities("belt")).status == 201)
      let devices = try await site.get("/admin/devices").json([Reports.Device].self)
      #expect(Set(devices.map(\.deviceId.description)) == ["gateway", "gateway/child", "belt"])
      #expect(try await site.send(.delete, ofClient).status == 204)
      #expect(try await site.send(.delete, ofClient).status == 404)
      #expect(try await site.send(.put, path, body: "[").status == 400)
      #expect(try await site.send(.put, path, body: capabilities("other")).status == 422)
      let wrong = capabilities("gateway").replacing("oci", with: "magic")
      #expect(try await site.send(.put, path, body: wrong).status == 422)
      #expect(try await site.send(.put, "/api/v1/capabilities/a%20b", body: capabilities("a b")).status == 400)
    }
  }
}
