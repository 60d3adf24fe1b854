import Foundation
import Testing

@testable import SSHSignatures

/// The verdict of ssh-keygen on a signature with a certificate is the verdict here, but for intended strictness.
@Suite("OpenSSH certificates")
struct SSHCertificateTests {
  private let keygen: SSHKeygen
  private let message = Array("desired state".utf8)
  private let noon = Date(timeIntervalSince1970: 1_672_574_400)  // 2023-01-01T12:00:00Z

  init() throws {
    keygen = try SSHKeygen()
  }

  /// Why the signature is refused here, or nil.
  private func refusal(_ blob: [UInt8], _ signers: AllowedSigners, at time: Date, as name: String) -> String? {
    do {
      let signature = try SSHSignature(blob: blob)
      try signature.verify(.init(message), namespace: "desired-state")
      switch signers.trust(of: signature, namespace: "desired-state", at: time) {
      case .untrusted(let reason): return "the key \(reason)"
      case .trusted(let principals): return principals.contains(name) ? nil : "trusted, but not as \(name)"
      }
    } catch {
      return error.message
    }
  }

  private func accepts(_ blob: [UInt8], _ signers: String, at time: String, as name: String) throws -> Bool {
    try keygen.verifies(
      armor(blob), of: message, allowedSigners: signers, principal: name, namespace: "desired-state", time: time)
  }

  /// Refusals here that `ssh-keygen -Y verify` does not share, each for a reason.
  private func intended(_ refusal: String) -> String? {
    let reasons = [
      "which is not for signatures": "critical options that are not known are refused (PROTOCOL.certkeys)",
      "not text": "names in a certificate are UTF-8 without NUL", "without being touched": "authorities are touched",
    ]
    return reasons.first { refusal.contains($0.key) }?.value
  }

  private func makeCertificate(
    _ key: SSHKeygen.KeyPair, by authority: SSHKeygen.KeyPair, _ options: [String]
  ) throws -> SSHKeygen.KeyPair {
    // A copy of the key's two files, so that each certificate has its own.
    let copy = keygen.directory.appending(path: UUID().uuidString)
    try FileManager.default.copyItem(at: key.file, to: copy)
    try FileManager.default.copyItem(atPath: key.file.path + ".pub", toPath: copy.path + ".pub")
    let outcome = try keygen.run(["-q", "-s", authority.file.path, "-I", "an id"] + options + [copy.path + ".pub"])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return SSHKeygen.KeyPair(file: URL(filePath: copy.path + "-cert.pub"), publicLine: key.publicLine)
  }

  private static let shapes: [[String]] = [
    ["-n", "alice"], ["-n", "alice,bob"], ["-n", "bob"], [], ["-n", "alice", "-h"],
    ["-n", "alice", "-V", "20230101000000Z:20230101120000Z"], ["-n", "alice", "-V", "20230101120000Z:20240101Z"],
    ["-n", "alice", "-V", "20230101120001Z:20240101Z"], ["-n", "alice", "-V", "always:forever"],
    ["-n", "alice", "-O", "clear"], ["-n", "alice", "-O", "force-command=/bin/true"],
    ["-n", "alice", "-O", "source-address=192.0.2.0/24"], ["-n", "alice", "-O", "verify-required"],
    ["-n", "alice", "-O", "critical:new@example.com=1"], ["-n", "alice", "-O", "extension:new@example.com=1"],
    ["-n", "alice", "-z", "18446744073709551615"], ["-n", "al*"],
  ]

  @Test("Certificates that ssh-keygen made, and lines of every form, agree with ssh-keygen -Y verify")
  func generated() throws {
    let authorities = try ["ed25519", "ecdsa-384", "rsa-2048"].map { try keygen.makeKey($0) }
    let keys = try ["ed25519", "ecdsa-256", "rsa-3072"].map { try keygen.makeKey($0) }
    var count = DifferentialCount()
    for (index, shape) in Self.shapes.enumerated() {
      let (authority, key) = (authorities[index % 3], keys[(index + index / 3) % 3])
      let certified = try makeCertificate(key, by: authority, shape)
      let blob = try dearmor(keygen.sign(message, with: certified))
      let (ca, own) = (try authority.publicKey.openSSHRepresentation, try key.publicKey.openSSHRepresentation)
      let other = try authorities[(index + 1) % 3].publicKey.openSSHRepresentation
      let lines = [
        "alice cert-authority \(ca)", "a* cert-authority \(ca)", "*,!alice cert-authority \(ca)", "alice \(ca)",
        "alice \(own)", "alice cert-authority \(own)", "alice cert-authority \(other)",
        "alice cert-authority,namespaces=\"desired-state\" \(ca)", "alice namespaces=\"git\",cert-authority \(ca)",
        "alice cert-authority,valid-before=\"20230101115959Z\" \(ca)\nalice CERT-AUTHORITY,valid-after=\"20230101Z\" \(ca)",
      ]
      for line in lines {
        let signers = try AllowedSigners(parsing: line)
        for name in line == lines[1] || line == lines[0] ? ["alice", "bob"] : ["alice"] {
          count.add(
            "\(shape), \(line), \(name)", refusal: refusal(blob, signers, at: noon, as: name),
            sshKeygenAccepts: try accepts(blob, line + "\n", at: "20230101120000Z", as: name), intended: intended)
        }
      }
    }
    count.report("Certificates made by ssh-keygen")
  }

  @Test("A certificate is valid from its first second to the one before its last") func validity() throws {
    let forge = CertificateForge()
    let blob = try forge.sign(message, certificate: forge.certificate())
    let line = "alice cert-authority \(CertificateForge.line(forge.authority))"
    let signers = try AllowedSigners(parsing: line)
    var count = DifferentialCount()
    for time in ["20221231235959Z", "20230101000000Z", "20230101235959Z", "20230102000000Z", "20230102000001Z"] {
      let date = try #require(AllowedSignersTimestamp.parse(time))
      count.add(
        time, refusal: refusal(blob, signers, at: date, as: "alice"),
        sshKeygenAccepts: try accepts(blob, line + "\n", at: time, as: "alice"), intended: intended)
    }
    count.report("Certificates over time")
    for time in [
      Date.distantPast, .distantFuture, Date(timeIntervalSince1970: .nan), .init(timeIntervalSince1970: 1e300),
    ] { #expect(refusal(blob, signers, at: time, as: "alice") != nil) }
  }

  @Test("Certificates of forged form agree with ssh-keygen -Y verify") func forged() throws {
    let forge = CertificateForge()
    var cases: [(String, CertificateForge.Fields)] = []
    func add(_ name: String, _ change: (inout CertificateForge.Fields) -> Void) {
      var fields = CertificateForge.Fields()
      change(&fields)
      cases.append((name, fields))
    }
    add("as it should be") { _ in }
    add("host") { $0.kind = 2 }
    add("kind 3") { $0.kind = 3 }
    add("kind 0") { $0.kind = 0 }
    add("no principals") { $0.principals = [] }
    add("256 principals") { $0.principals = Array(repeating: Array("bob".utf8), count: 255) + [Array("alice".utf8)] }
    add("257 principals") { $0.principals = Array(repeating: Array("alice".utf8), count: 257) }
    add("empty principal") { $0.principals = [[]] }
    add("principal with NUL inside") { $0.principals = [Array("alice\0x".utf8)] }
    add("principal with NUL at its end") { $0.principals = [Array("alice\0".utf8)] }
    add("principal not UTF-8") { $0.principals = [Array("alice".utf8), [0xff]] }
    add("principals cut") { $0.principalsTail = [0, 0, 0, 5, 1] }
    add("key id not UTF-8") { $0.keyID = [0xff, 0xfe] }
    add("key id with NUL inside") { $0.keyID = Array("a\0b".utf8) }
    add("empty key id") { $0.keyID = [] }
    add("ends before it begins") { ($0.validAfter, $0.validBefore) = (2_000_000_000, 1_000_000_000) }
    add("always") { ($0.validAfter, $0.validBefore) = (0, .max) }
    add("unknown critical option") { $0.criticalOptions = sshStrings(Array("x@y".utf8), []) }
    add("critical option without value") { $0.criticalOptions = sshStrings(Array("x@y".utf8)) }
    add("critical options cut") { $0.criticalOptions = [0, 0, 0, 9] }
    add("verify-required without a security key") { $0.criticalOptions = sshStrings(Array("verify-required".utf8), []) }
    add("unknown extension") { $0.extensions = sshStrings(Array("x@y".utf8), Array("z".utf8)) }
    add("extensions cut") { $0.extensions = [0, 0, 0, 9] }
    add("reserved field in use") { $0.reserved = [1, 2, 3] }
    add("tampered") { $0.isTampered = true }
    add("bytes behind it") { $0.tail = [0] }
    add("no authority") { $0.authorityBlob = [] }
    add("another authority's name") { $0.authorityBlob = CertificateForge.publicBlob(.init()) }
    add("unknown type") { $0.type = "ssh-ed25519-cert-v02@openssh.com" }
    add("another type") { $0.type = "ssh-rsa-cert-v01@openssh.com" }
    let nested = try forge.certificate()
    add("a certificate as authority") { $0.authorityBlob = nested }

    let line = "alice cert-authority \(CertificateForge.line(forge.authority))"
    let signers = try AllowedSigners(parsing: line)
    var count = DifferentialCount()
    for (name, fields) in cases {
      let blob = try forge.sign(message, certificate: forge.certificate(fields))
      count.add(
        name, refusal: refusal(blob, signers, at: noon, as: "alice"),
        sshKeygenAccepts: try accepts(blob, line + "\n", at: "20230101120000Z", as: "alice"), intended: intended)
    }
    count.report("Forged certificates")
    #expect(count.agreed.accepted > 3 && count.agreed.refused > 10)
  }

  @Test("Certificates with changed bytes agree with ssh-keygen -Y verify") func mutated() throws {
    let forge = CertificateForge()
    let blob = try forge.sign(message, certificate: forge.certificate())
    let line = "alice cert-authority \(CertificateForge.line(forge.authority))"
    let signers = try AllowedSigners(parsing: line)
    var generator = SeededGenerator(state: 11)
    var count = DifferentialCount()
    for _ in 0..<100 {
      var changed = blob
      let index = Int.random(in: 0..<changed.count, using: &generator)
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: changed[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: changed.remove(at: index)
      default: changed.insert(UInt8.random(in: 0...255, using: &generator), at: index)
      }
      count.add(
        "seed 11, \(changed)", refusal: refusal(changed, signers, at: noon, as: "alice"),
        sshKeygenAccepts: try accepts(changed, line + "\n", at: "20230101120000Z", as: "alice"), intended: intended)
    }
    count.report("Mutated certificates")
    // Every byte here alone: none may hold, and none may stop the program.
    for index in blob.indices {
      var changed = blob
      changed[index] ^= 0x41
      #expect(refusal(changed, signers, at: noon, as: "alice") != nil, "byte \(index)")
    }
  }

  @Test("A key in a certificate and the same key without one are one key") func identity() throws {
    let forge = CertificateForge()
    let one = try SSHSignature(blob: forge.sign(message, certificate: forge.certificate()))
    let plain = try SSHSignature(blob: forge.sign(message, certificate: CertificateForge.publicBlob(forge.key)))
    #expect(one.publicKey == plain.publicKey)
    #expect(one.certificate?.keyID == "an id" && plain.certificate == nil)
  }

  @Test("A line without namespaces= is not enough where the namespace must be named") func named() throws {
    let forge = CertificateForge()
    let signature = try SSHSignature(blob: forge.sign(message, certificate: forge.certificate()))
    func trust(_ options: String) throws -> AllowedSigners.Trust {
      let line = "alice cert-authority\(options) \(CertificateForge.line(forge.authority))"
      return try AllowedSigners(parsing: line)
        .trust(of: signature, namespace: "desired-state-trust", named: true, at: noon)
    }
    #expect(try trust(",namespaces=\"desired-state-trust\"") == .trusted(principals: ["alice"]))
    #expect(try trust("") == .untrusted(reason: .namespaceNotNamed("desired-state-trust")))
    #expect(try trust(",namespaces=\"git\"") == .untrusted(reason: .namespaceNotAllowed("desired-state-trust")))
  }
}
