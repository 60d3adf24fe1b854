import DesiredStateTesting
import FoundationEssentials
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
}
