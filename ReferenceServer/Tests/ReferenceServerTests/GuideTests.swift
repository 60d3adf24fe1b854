import Foundation
import Testing

@testable import ReferenceServer

/// `Scripts/margo-guide` against this server: with curl, another client than this package's own, and with the agent.
@Suite(.timeLimit(.minutes(3))) struct GuideTests {
  @Test func `the guide's steps are answered as the specification has them, over mutual TLS`() async throws {
    try await play([])
  }

  @Test(.enabled(if: Agent.isBuilt, "the agent is not built: swift build in the package above"))
  func `the agent takes the guide's steps, over mutual TLS`() async throws {
    try await play(["--agent", Agent.program])
  }

  private func play(_ options: [String]) async throws {
    let certificates = try await Certificates.shared.value
    let tls = ReferenceServerConfiguration.TLS(
      certificateFile: certificates.file("server.pem"), keyFile: certificates.file("server.key"),
      clientAuthorityFile: certificates.authority)
    try await TestSite.run(
      client: certificates.certificate("press-42"), configuration: .init(dataDirectory: "", tls: tls)
    ) { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      try site.write("belt.yaml", "speed: 1\n")
      let arguments = [
        site.base, "press-42", "--cacert", certificates.authority, "--cert", certificates.file("press-42.pem"), "--key",
        certificates.file("press-42.key"),
      ]
      let script = Agent.repository.appendingPathComponent("Scripts/margo-guide").path
      let (status, words) = try await Agent.run(options + arguments, of: script)
      #expect(status == 0, "\(words)")
      #expect(words.contains("as the specification has it"))
      let last = try await site.get("/admin/statuses").json([Reports.Status].self).first
      #expect(last?.states == [.installing, .installed], "\(words)")
    }
  }
}
