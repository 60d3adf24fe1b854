import Foundation
import Testing

@testable import ReferenceServer

/// `Scripts/margo-guide` against this server: with curl, another client than this package's own, and with the agent.
@Suite(.timeLimit(.minutes(3))) struct GuideTests {
  private static let root = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
  /// Built by the package above: `swift build --product desired-state`.
  private static let agent = root.appendingPathComponent(".build/debug/desired-state").path

  @Test func `the guide's steps are answered as the specification has them, over mutual TLS`() async throws {
    try await play([])
  }

  @Test(
    .enabled(
      if: FileManager.default.isExecutableFile(atPath: agent),
      "the agent is not built: swift build in the package above"))
  func `the agent takes the guide's steps, over mutual TLS`() async throws { try await play(["--agent", Self.agent]) }

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
      let script = Self.root.appendingPathComponent("Scripts/margo-guide")
      let (status, words) = try await onThread {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = script
        process.arguments = options + arguments
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        let words = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: words, as: UTF8.self))
      }
      #expect(status == 0, "\(words)")
      #expect(words.contains("as the specification has it"))
      let last = try await site.get("/admin/statuses").json([Reports.Status].self).first
      #expect(last?.states == [.installing, .installed], "\(words)")
    }
  }
}
