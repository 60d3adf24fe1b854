import Foundation
import Testing

@testable import SSHSignatures

/// What `ssh-keygen -Y verify -r` says is said here.
@Suite("Revoked keys and key revocation lists")
struct RevokedKeysTests {
  private let keygen: SSHKeygen
  private let message = Array("desired state".utf8)

  init() throws {
    keygen = try SSHKeygen()
  }

  /// A signature to be asked about, and the line that would trust it.
  private struct Subject {
    var name: String
    var armored: [UInt8]
    var line: String
  }

  private func certificate(
    _ key: SSHKeygen.KeyPair, by authority: SSHKeygen.KeyPair, serial: UInt64, id: String
  ) throws -> SSHKeygen.KeyPair {
    let copy = keygen.directory.appending(path: UUID().uuidString)
    try FileManager.default.copyItem(at: key.file, to: copy)
    try FileManager.default.copyItem(atPath: key.file.path + ".pub", toPath: copy.path + ".pub")
    let outcome = try keygen.run([
      "-q", "-s", authority.file.path, "-I", id, "-n", "alice", "-z", "\(serial)", copy.path + ".pub",
    ])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return SSHKeygen.KeyPair(file: URL(filePath: copy.path + "-cert.pub"), publicLine: key.publicLine)
  }

  private func list(_ specification: String, authority: SSHKeygen.KeyPair? = nil) throws -> [UInt8] {
    let file = try keygen.file(containing: Array(specification.utf8))
    let output = keygen.directory.appending(path: UUID().uuidString)
    let certifier = ["-s", authority.map { $0.file.path + ".pub" } ?? "none"]
    let outcome = try keygen.run(["-q", "-k", "-f", output.path] + certifier + [file.path])
    try #require(outcome.status == 0, "\(outcome.errors)")
    return Array(try Data(contentsOf: output))
  }

  private func refusal(_ subject: Subject, _ revoked: [UInt8]) throws -> String? {
    let signature = try SSHSignature.parse(armored: subject.armored)[0]
    do {
      return try RevokedKeys(parsing: revoked).revocation(of: signature)?.description
    } catch {
      return error.description
    }
  }

  private func accepts(_ subject: Subject, _ revoked: [UInt8]) throws -> Bool {
    let outcome = try keygen.run(
      [
        "-Y", "verify", "-f", try keygen.file(containing: Array((subject.line + "\n").utf8)).path, "-I", "alice", "-n",
        "desired-state", "-s", try keygen.file(containing: subject.armored).path, "-r",
        try keygen.file(containing: revoked).path,
      ], input: message)
    return outcome.status == 0
  }

  private func intended(_ refusal: String) -> String? {
    refusal.contains("section of type")
      ? "sections that are not known here are refused, also where they say nothing" : nil
  }

  @Test("Plain keys and lists of every kind agree with ssh-keygen -Y verify -r, also with changed bytes")
  func differential() throws {
    let (key, other) = (try keygen.makeKey(), try keygen.makeKey("ecdsa-256"))
    let (authority, second) = (try keygen.makeKey(), try keygen.makeKey("rsa-2048"))
    let ca = "alice cert-authority \(try authority.publicKey.openSSHRepresentation)"
    let ca2 = "alice cert-authority \(try second.publicKey.openSSHRepresentation)"
    func subject(_ name: String, _ key: SSHKeygen.KeyPair, _ line: String) throws -> Subject {
      Subject(name: name, armored: try keygen.sign(message, with: key), line: line)
    }
    let subjects = [
      try subject("plain", key, "alice \(key.publicKey.openSSHRepresentation)"),
      try subject("other", other, "alice \(other.publicKey.openSSHRepresentation)"),
      try subject("5", try certificate(key, by: authority, serial: 5, id: "laptop"), ca),
      try subject("0", try certificate(key, by: authority, serial: 0, id: "zero"), ca),
      try subject("900", try certificate(other, by: authority, serial: 900, id: "desk"), ca),
      try subject("5 by the second", try certificate(key, by: second, serial: 5, id: "laptop"), ca2),
    ]
    let cut = { (pair: SSHKeygen.KeyPair) in try pair.publicKey.openSSHRepresentation }
    var files: [(String, [UInt8])] = [
      ("empty", []), ("comment", Array("# nothing\n\n".utf8)), ("plain key", Array("  \(key.publicLine)".utf8)),
      ("two keys", Array("# old\n\(other.publicLine)\(try cut(key))\r\n".utf8)),
      ("authority", Array(authority.publicLine.utf8)), ("second", Array(second.publicLine.utf8)),
      ("not a key", Array("alice \(try cut(key))\n".utf8)), ("half a key", Array(try cut(key).dropLast(20).utf8)),
      ("unknown type", Array("ssh-new AAAA\n".utf8)),
      ("bad line first", Array("nonsense\n\(key.publicLine)".utf8)),
    ]
    for specification in [
      "serial: 5", "serial: 1-5", "serial: 6-1000", "serial: 5\nserial: 900\nserial: 7\nserial: 9\nserial: 11",
      "serial: 1-4\nserial: 6-18446744073709551615", "id: laptop", "id: lap", "id: desk\nid: laptop", "serial: 1",
    ] {
      files.append((specification, try list(specification, authority: authority)))
      files.append((specification + " by any", try list(specification)))
    }
    let bits = (0..<40).filter { $0 % 3 != 0 }.map { "serial: \($0 + 890)" }.joined(separator: "\n")
    files.append(("bitmap", try list(bits, authority: authority)))
    let fingerprint = try key.publicKey.fingerprint
    for specification in [
      "key: \(try cut(key))", "sha1: \(try cut(key))", "sha256: \(try cut(other))", "hash: \(fingerprint)",
      "key: \(try cut(authority))", "sha256: \(try cut(second))", try cut(other),
    ] { files.append((specification, try list(specification))) }

    var count = DifferentialCount()
    for (name, file) in files {
      for subject in subjects {
        count.add(
          "\(name): \(subject.name)", refusal: try refusal(subject, file),
          sshKeygenAccepts: try accepts(subject, file), intended: intended)
      }
    }
    count.report("Revoked keys")
    #expect(count.agreed.accepted > 50 && count.agreed.refused > 50)

    var generator = SeededGenerator(state: 5)
    var mutations = DifferentialCount()
    let bases = files.map(\.1).filter { $0.starts(with: KeyRevocationListReader.magic) }
    for number in 0..<150 {
      var changed = bases[number % bases.count]
      let index = Int.random(in: 0..<changed.count, using: &generator)
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: changed[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: changed.remove(at: index)
      default: changed.insert(UInt8.random(in: 0...255, using: &generator), at: index)
      }
      let subject = subjects[Int.random(in: 0..<subjects.count, using: &generator)]
      mutations.add(
        "seed 5, number \(number), \(changed)", refusal: try refusal(subject, changed),
        sshKeygenAccepts: try accepts(subject, changed), intended: intended)
    }
    mutations.report("Mutated revocation lists")
  }

  @Test("A fault is told with its line") func lineOfFault() throws {
    let key = try keygen.makeKey().publicLine
    #expect {
      try RevokedKeys(parsing: Array("\(key)nonsense\n".utf8))
    } throws: {
      "\($0)".contains("line 2")
    }
  }

  @Test("A list that was cut anywhere is refused whole") func cut() throws {
    let key = try keygen.makeKey().publicLine
    let bytes = try list("key: \(key)sha256: \(key)")
    // Cut behind the header or between two sections it is a shorter list, which only its maker could tell.
    let whole = (0...bytes.count).filter { (try? RevokedKeys(parsing: bytes.prefix($0))) != nil }
    #expect(whole.count <= 4 && whole.last == bytes.count, "\(whole)")
  }

  @Test("The longest range of serial numbers costs nothing") func ranges() throws {
    let bytes = try list("serial: 1-18446744073709551615", authority: try keygen.makeKey())
    #expect(try RevokedKeys(parsing: bytes).certificates.values.first?.serials == [1...UInt64.max])
  }
}
