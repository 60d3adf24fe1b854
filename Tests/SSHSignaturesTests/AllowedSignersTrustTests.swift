import DesiredStateSupport
import Foundation
import Testing

@testable import SSHSignatures

@Suite("Trust in allowed signers")
struct AllowedSignersTrustTests {
  private let keygen: SSHKeygen
  private let key: SSHKeygen.KeyPair
  private let publicKey: SSHPublicKey
  private let noon = Date(timeIntervalSince1970: 1_672_574_400)  // 2023-01-01T12:00:00Z

  init() throws {
    keygen = try SSHKeygen()
    key = try keygen.makeKey()
    publicKey = try key.publicKey
  }

  @Test func `A listed key is trusted with the principals of every line that allows it`() throws {
    let text = """
      alice@example.com,*@example.org \(publicKey.openSSHRepresentation)
      bob namespaces="git" \(publicKey.openSSHRepresentation)
      carol,alice@example.com namespaces="desired-*" \(publicKey.openSSHRepresentation)
      """
    let trust = try AllowedSigners(parsing: text).trust(of: publicKey, namespace: "desired-state", at: noon)
    #expect(trust == .trusted(principals: ["alice@example.com", "*@example.org", "carol"]))
  }

  @Test func `A key that is not listed is not trusted, also when one of the same type is`() throws {
    let other = try keygen.makeKey().publicLine
    let signers = try AllowedSigners(parsing: "alice \(other)")
    #expect(signers.trust(of: publicKey, namespace: "git", at: noon) == .untrusted(reason: .keyNotListed))
    #expect(
      try AllowedSigners(parsing: "").trust(of: publicKey, namespace: "git", at: noon)
        == .untrusted(reason: .keyNotListed))
  }

  @Test func `The reason is that of the line that comes closest`() throws {
    func reason(_ options: String...) throws -> AllowedSigners.UntrustedReason? {
      let text = options.map { "alice \($0) \(publicKey.openSSHRepresentation)\n" }.joined()
      switch try AllowedSigners(parsing: text).trust(of: publicKey, namespace: "git", at: noon) {
      case .trusted: return nil
      case .untrusted(let reason): return reason
      }
    }
    let (before, after) = (noon.addingTimeInterval(-3600), noon.addingTimeInterval(3600))
    let past = "valid-before=\"202301011100Z\""
    let future = "valid-after=\"202301011300Z\""
    #expect(try reason("namespaces=\"file\"") == .namespaceNotAllowed("git"))
    #expect(try reason("namespaces=\"\"") == .namespaceNotAllowed("git"))
    #expect(try reason("namespaces=\"*,!git\"") == .namespaceNotAllowed("git"))
    #expect(try reason("namespaces=\"Git\"") == .namespaceNotAllowed("git"))
    #expect(try reason(past) == .expired(after: before))
    #expect(try reason(future) == .notYetValid(from: after))
    #expect(try reason("namespaces=\"file\"", past) == .expired(after: before))
    #expect(try reason("namespaces=\"file\",\(future)", past) == .expired(after: before))
    #expect(try reason(past, future) == .notYetValid(from: after))
    #expect(try reason(future, "valid-after=\"20240101Z\"") == .notYetValid(from: after))
    #expect(try reason(past, "valid-before=\"20220101Z\"") == .expired(after: before))
    #expect(try reason(past, future, "namespaces=\"git\"") == nil)
    #expect(try reason(past)?.description.contains("2023-01-01T11:00:00Z") == true)
    #expect(try reason(future)?.description.contains("2023-01-01T13:00:00Z") == true)
  }

  @Test func `Fractions of a second and clocks far off do not matter`() throws {
    let line = "alice valid-after=\"20230101Z\",valid-before=\"202301011200Z\" \(publicKey.openSSHRepresentation)"
    let signers = try AllowedSigners(parsing: line)
    func isTrusted(at time: Date) -> Bool {
      if case .trusted = signers.trust(of: publicKey, namespace: "git", at: time) { return true }
      return false
    }
    #expect(isTrusted(at: noon.addingTimeInterval(0.999)))
    #expect(!isTrusted(at: noon.addingTimeInterval(1)))
    #expect(!isTrusted(at: Date(timeIntervalSince1970: 1_672_531_199.999)))
    let absurd: [Date] = [
      .distantPast, .distantFuture, Date(timeIntervalSince1970: -1e300), Date(timeIntervalSince1970: .infinity),
      Date(timeIntervalSince1970: .nan),
    ]
    for time in absurd {
      #expect(!isTrusted(at: time), "\(time.timeIntervalSince1970)")
    }
  }

  // MARK: - Against ssh-keygen

  static let options = [
    "", "namespaces=\"desired-state\"", "namespaces=\"git\"", "namespaces=\"git,desired-state\"",
    "NameSpaces=\"*,!git\"", "namespaces=\"desired-?tate\"", "namespaces=\"\"", "namespaces=\"Desired-State\"",
    "valid-after=\"20230101120000Z\"", "valid-before=\"20230101120000Z\"", "valid-after=\"20230101Z\"",
    "valid-before=\"20230102Z\"", "valid-after=\"202301011200Z\",valid-before=\"202301011201Z\"",
    "valid-after=\"20230101120000UTC\"", "namespaces=\"git\",valid-before=\"20230101115959z\"",
  ]

  static let times = ["20230101115959Z", "20230101120000Z", "20230101120001Z", "20230101120100Z", "20230101120101Z"]

  @Test(arguments: options)
  func `A key is trusted exactly when ssh-keygen verifies its signature`(options: String) throws {
    let line = "alice \(options) \(publicKey.openSSHRepresentation)\n"
    let signers = try AllowedSigners(parsing: line)
    var count = DifferentialCount()
    for namespace in ["desired-state", "git"] {
      let armored = try keygen.sign([1], with: key, namespace: namespace)
      for time in Self.times {
        let verdict = try keygen.verifies(
          armored, of: [1], allowedSigners: line, principal: "alice", namespace: namespace, time: time)
        let date = try #require(AllowedSignersTimestamp.parse(time))
        var refusal: String?
        if case .untrusted(let reason) = signers.trust(of: publicKey, namespace: namespace, at: date) {
          refusal = "\(reason)"
        }
        count.add("\(namespace) at \(time)", refusal: refusal, sshKeygenAccepts: verdict) { _ in nil }
      }
    }
    count.report("Allowed signers with '\(options)'")
  }

  @Test("In whose name a key may sign is as ssh-keygen -I has it") func principal() throws {
    let armored = try keygen.sign([1], with: key)
    var count = DifferentialCount()
    for pattern in ["press-42", "press-*", "press-*,!press-42", "*", "!*", "press-4?", "PRESS-42", "\"press-42,oven\""]
    {
      let line = "\(pattern) \(publicKey.openSSHRepresentation)\n"
      guard let signers = try? AllowedSigners(parsing: line) else { continue }
      for name in ["press-42", "press-43", "oven", "press-*", "press-42,oven", ""] {
        var refusal: String?
        if case .untrusted(let reason) = signers.trust(
          of: publicKey, namespace: "desired-state", principal: name, at: noon)
        {
          refusal = "\(reason)"
        }
        count.add(
          "\(name) by \(pattern)", refusal: refusal,
          sshKeygenAccepts: try keygen.verifies(
            armored, of: [1], allowedSigners: line, principal: name, namespace: "desired-state",
            time: "20230101120000Z")
        ) { _ in nil }
      }
    }
    count.report("Principals")
  }

  /// `find-principals` does not look at namespaces, so these lines have none.
  @Test(arguments: [
    "alice@example.com", "alice@example.com,bob@example.com", "*@example.com,!bob@example.com", "\"Alice Smith\"",
    "alice valid-before=\"20230101Z\"", "alice valid-after=\"20230101Z\"",
  ])
  func `The principals of a trusted key are those that ssh-keygen finds`(principalsAndOptions: String) throws {
    let line = "\(principalsAndOptions) \(publicKey.openSSHRepresentation) a comment\n"
    let (file, armored) = (try keygen.file(containing: Array(line.utf8)), try keygen.sign([1], with: key))
    let outcome = try keygen.run([
      "-Y", "find-principals", "-f", file.path, "-s", try keygen.file(containing: armored).path, "-O",
      "verify-time=20230101120000Z",
    ])
    switch try AllowedSigners(parsing: line).trust(of: publicKey, namespace: "desired-state", at: noon) {
    case .trusted(let principals):
      #expect(outcome.status == 0)
      #expect(principals == outcome.output.split(separator: "\n").map(String.init))
    case .untrusted:
      #expect(outcome.status != 0)
    }
  }

  @Test func `No line that is refused here would verify a signature for ssh-keygen, but for a few known ones`() throws {
    let armored = try keygen.sign([1], with: key)
    let text = publicKey.openSSHRepresentation
    func verifies(_ line: String) throws -> Bool {
      #expect(throws: AllowedSignersError.self, "\(line)") { try AllowedSigners(parsing: line) }
      return try keygen.verifies(
        armored, of: [1], allowedSigners: line + "\n", principal: "alice", namespace: "desired-state",
        time: "20230101120000Z")
    }
    let lines = [
      "alice", text, "alice namespaces=\"desired-state\"", "alice unknown \(text)",
      "alice namespaces=desired-state \(text)", "alice namespaces=\"desired-state \(text)", "\"alice \(text)",
      "alice namespaces=\"desired-state\",namespaces=\"git\" \(text)", "alice valid-after=\"2023\" \(text)",
      "alice valid-after=\"20230101Z\",valid-before=\"20230101Z\" \(text)", "alice valid-after=\"19700101Z\" \(text)",
      "alice valid-after=\"20221301Z\" \(text)", "alice valid-after=\"202212322400Z\" \(text)", "!alice \(text)",
      "alice namespaces=\"desired-state\"x \(text)", "\u{feff}alice \(text)",
    ]
    for line in lines {
      #expect(try !verifies(line), "\(line)")
    }
    print(
      "Lines refused here: \(lines.count) agree; 2 are stricter by intention: days that no calendar has, empty options")
    // ssh-keygen reads a day that no calendar has as one of the next month, and takes empty options.
    #expect(try verifies("alice valid-after=\"20220231Z\" \(text)"))
    #expect(try verifies("alice ,namespaces=\"desired-state\" \(text)"))
  }

  // MARK: - Canonical description

  @Test func `The canonical description changes with the meaning and with nothing else`() throws {
    let other = try keygen.makeKey().publicLine.split(separator: " ").prefix(2).joined(separator: " ")
    let text = """
      # release keys
      alice,bob namespaces="git,desired-state",valid-after="20230101Z" \(publicKey.openSSHRepresentation) laptop
      carol \(other)
      """
    let same = """
      \tcarol   \(other) carol's\r
      "bob,alice,bob" VALID-AFTER="202301010000Z",namespaces="desired-state,git"  \(publicKey.openSSHRepresentation)\r
      carol \(other)\r
      """
    let description = try AllowedSigners(parsing: text).canonicalDescription
    #expect(try AllowedSigners(parsing: same).canonicalDescription == description)
    #expect(try AllowedSigners(parsing: description).canonicalDescription == description)
    let differences = [
      ("alice", "alicia"), ("git", "file"), ("20230101Z", "20230102Z"), ("valid-after", "valid-before"),
      ("carol ", "carol,dave "), ("carol ", "carol namespaces=\"git\" "), (other, publicKey.openSSHRepresentation),
      ("namespaces=\"git,desired-state\",", ""), ("git,", "git\\\","), ("alice", "caf\u{e9}"),
    ]
    var descriptions: Set<[UInt8]> = [Array(description.utf8)]
    for (old, new) in differences {
      let changed = try AllowedSigners(parsing: text.replacing(old, with: new)).canonicalDescription
      #expect(descriptions.insert(Array(changed.utf8)).inserted, "\(old) to \(new)")
      #expect(try AllowedSigners(parsing: changed).canonicalDescription == changed)
    }
    let decomposed = try AllowedSigners(parsing: text.replacing("alice", with: "cafe\u{301}")).canonicalDescription
    #expect(descriptions.insert(Array(decomposed.utf8)).inserted)
  }
}
