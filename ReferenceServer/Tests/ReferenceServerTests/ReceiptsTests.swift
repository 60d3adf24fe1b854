import Foundation
import HTTPTypes
import Testing

@testable import ReferenceServer

/// The fleet at a glance, as the manager has heard of it: `desired-state receipts margo+http://…`.
@Suite(
  .timeLimit(.minutes(2)),
  .enabled(if: Agent.isBuilt, "the command line is not built: swift build in the package above"))
struct ReceiptsTests {
  private func status(of id: String, on device: String, version: Int = 1, _ more: String) -> String {
    """
    {"apiVersion": "deployment.margo.org/v1alpha1", "kind": "DeploymentStatusManifest", "deploymentId": "\(id)",
     "deviceId": "\(device)", "adoptedManifestVersion": \(version), "components": [], "status": \(more)}
    """
  }

  @Test func `the command line lists what devices have told the manager`() async throws {
    try await TestSite.run(configuration: .init(dataDirectory: "", assumedClient: "press-42")) { site async throws in
      let source = "margo+http://127.0.0.1:\(site.ports.admin)"
      let (status, nothing) = try await Agent.run(["receipts", source])
      #expect(status == 0 && nothing == "no receipts are there\n", "\(nothing)")
      for id in ["press", "belt", "oven"] { try site.write(id + ".yaml", "recipe: 1\n") }
      _ = try await site.get("/api/v1/deployments")
      for (id, device, more) in [
        ("press", "press-42", #"{"state": "installed"}"#),
        (
          "belt", "press-42",
          #"{"state": "failed", "error": {"code": "7", "source": "belt", "message": "no power\u001b[2J"}}"#
        ),
        ("oven", "press-42/oven", #"{"state": "installing"}"#),
      ] {
        let answer = try await site.send(
          .post, "/api/v1/deployments/\(id)/status", body: self.status(of: id, on: device, more))
        #expect(answer.status == 201, "\(answer.text)")
      }
      let (_, table) = try await Agent.run(["receipts", source])
      #expect(table.contains(/press-42\/oven +installing version 1 \d+s ago, unsigned/), "\(table)")
      #expect(table.contains(/press-42 +failed version 1 \d+s ago, unsigned/), "\(table)")
      #expect(table.contains(#"document "belt" failed: 7: no power"#) && !table.contains("\u{1b}"), "\(table)")
      let (_, one) = try await Agent.run([
        "receipts", source, "--json", "--device", "press-42/oven", "--device", "mill",
      ])
      let lines = one.split(separator: "\n")
      #expect(
        lines.count == 2 && one.contains(#""state":"installing""#) && one.contains(#""signature":"missing""#), "\(one)")
    }
  }

  @Test func `the port for devices is no list, and its words say which is`() async throws {
    try await TestSite.run { site async throws in
      let (status, words) = try await Agent.run(["receipts", "margo+http://127.0.0.1:\(site.ports.api)"])
      #expect(status == 4 && words.contains("name the port for operators"), "\(words)")
      let (usage, more) = try await Agent.run(["receipts", "margo+http://127.0.0.1:\(site.ports.admin)?client=x"])
      #expect(usage == 64 && more.contains("has nothing named \"client\""), "\(more)")
    }
  }
}
