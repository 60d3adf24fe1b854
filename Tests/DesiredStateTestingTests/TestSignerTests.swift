import DesiredState
import DesiredStateTesting
import Foundation
import Testing

@Suite struct TestSignerTests {
  @Test func `the same name has the same key, another name another`() {
    #expect(TestSigner("a").allowedSigner == TestSigner("a").allowedSigner)
    #expect(TestSigner("a").allowedSigner(namespaces: []) != TestSigner("b").allowedSigner(namespaces: []))
    #expect(TestSigner("a").allowedSigner.hasPrefix("a namespaces=\"desired-state\" ssh-ed25519 AAAA"))
  }

  @Test func `a signature is armored as OpenSSH writes it`() {
    let lines = String(decoding: TestSigner().sign(Array("manifest".utf8)), as: UTF8.self).split(separator: "\n")
    #expect(lines.first == "-----BEGIN SSH SIGNATURE-----")
    #expect(lines.last == "-----END SSH SIGNATURE-----")
    #expect(lines.dropFirst().dropLast().allSatisfy { $0.utf8.count <= 70 })
    #expect(lines[1].hasPrefix("U1NIU0lH"), "SSHSIG")
  }

  @Test func `ssh-keygen takes a signature for its own`() throws {
    let directory = NSTemporaryDirectory() + "test-signer-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let signer = TestSigner()
    try Data(signer.sign(Array("manifest".utf8))).write(to: URL(fileURLWithPath: directory + "/signature"))
    try Data(signer.allowedSigner.utf8).write(to: URL(fileURLWithPath: directory + "/allowed_signers"))
    try Data("manifest".utf8).write(to: URL(fileURLWithPath: directory + "/message"))
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      "ssh-keygen", "-Y", "verify", "-f", directory + "/allowed_signers", "-I", signer.principal, "-n", "desired-state",
      "-s", directory + "/signature",
    ]
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: directory + "/message"))
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(text)")
  }

  @Test func `what several signers sign is admitted by the policy that trusts them, and not by that of others`()
    async throws
  {
    let both = [TestSigner("a"), TestSigner("b")]
    let backend = MockBackend(signers: both)
    backend.publish(["press": "recipe: 7"])
    guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else {
      Issue.record("the state is published")
      return
    }
    #expect(try verify(state, by: backend.policy).signers.map(\.principals) == [["a"], ["b"]])
    #expect(throws: VerificationError.self) { try verify(state, by: TestSigner.policy([TestSigner("c")])) }
  }

  private func verify(_ state: FetchedState, by policy: TrustPolicy) throws -> VerifiedState {
    try Verifier(policy: policy, device: "press-42", now: Date(timeIntervalSince1970: 0)).admit(state)
  }
}
