import Foundation
import Testing

@testable import ReferenceServer

/// `Scripts/margo-guide` with curl, another client than this package's own, against this server.
@Suite(.timeLimit(.minutes(2))) struct GuideTests {
  @Test func `the guide's steps are answered as the specification has them, over mutual TLS`() async throws {
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
      let (status, words) = try await onThread {
        let script = URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../Scripts/margo-guide")
          .standardized
        let process = Process()
        let pipe = Pipe()
        process.executableURL = script
        process.arguments = arguments
        (process.standardOutput, process.standardError) = (pipe, pipe)
        try process.run()
        let words = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: words, as: UTF8.self))
      }
      #expect(status == 0, "\(words)")
      #expect(words.contains("as the specification has it"))
    }
  }
}
