import Foundation
import Testing

@testable import SSHSignatures

@Suite("Reading allowed_signers files")
struct AllowedSignersParsingTests {
  private let key: String
  private let other: String
  private let rsa: String

  init() throws {
    let keygen = try SSHKeygen()
    key = try SSHPublicKey(parsing: keygen.makeKey().publicLine).openSSHRepresentation
    other = try SSHPublicKey(parsing: keygen.makeKey("ecdsa-256").publicLine).openSSHRepresentation
    rsa = try SSHPublicKey(parsing: keygen.makeKey("rsa-2048").publicLine).openSSHRepresentation
  }

  @Test func `Comments, blank lines, comments behind keys, tabs and CR LF are read over`() throws {
    let text = """
      # who may sign

      \t # indented
      alice@example.com,bob@example.com \(key)
      \t*@example.com\t namespaces="git",VALID-AFTER="20230101Z"  \(other)   carol's key, for releases
      """
    for text in [text, text + "\n", text.replacing("\n", with: "\r\n") + "\r\n"] {
      let entries = try AllowedSigners(parsing: text).entries
      try #require(entries.count == 2)
      #expect(entries.map(\.line) == [4, 5])
      #expect(entries[0].principals.patterns == ["alice@example.com", "bob@example.com"])
      #expect(entries[0].namespaces == nil && entries[0].validAfter == nil && entries[0].validBefore == nil)
      #expect(entries[0].key.openSSHRepresentation == key)
      #expect(entries[1].namespaces?.patterns == ["git"])
      #expect(entries[1].validAfter == Date(timeIntervalSince1970: 1_672_531_200))
      #expect(entries[1].key.openSSHRepresentation == other)
    }
    #expect(try AllowedSigners(parsing: "").entries.isEmpty)
    #expect(try AllowedSigners(parsing: "# nobody\n").entries.isEmpty)
  }

  @Test func `Principals and values in quotes may hold blanks, commas and quotes`() throws {
    let principals = try AllowedSigners(parsing: "\"Alice Smith,bob\" \(key)").entries[0].principals
    #expect(principals.patterns == ["Alice Smith", "bob"])
    let mixed = try AllowedSigners(parsing: "bob,\"Alice Smith\" \(key)").entries[0].principals
    #expect(mixed.patterns == ["bob", "Alice Smith"])
    let namespaces = try AllowedSigners(parsing: "alice namespaces=\"a b,c\\\"d,e\\f\" \(key)").entries[0].namespaces
    #expect(namespaces?.patterns == ["a b", "c\"d", "e\\f"])
  }

  @Test func `A line that is not understood refuses the file, names the line and says what to do`() throws {
    let dss = "ssh-dss AAAAB3NzaC1kc3MAAACB"
    let cases: [(line: String, code: AllowedSignersError.Code, words: String)] = [
      ("alice", .malformed, "no key"),
      ("alice namespaces=\"git\"", .malformed, "no key"),
      ("alice ssh-ed25519", .malformed, "base64"),
      ("alice ssh-ed25519 AAAA", .malformed, "name of its type"),
      ("alice ssh-ed25519 \(other.split(separator: " ")[1])", .malformed, "holds a key of type"),
      (key, .malformed, "who it belongs to"),
      ("\"alice \(key)", .malformed, "closing"),
      ("\"alice\"bob \(key)", .malformed, "closing quote"),
      ("\"\" \(key)", .malformed, "match nobody"),
      ("!alice,!bob \(key)", .malformed, "match nobody"),
      ("alice\r bob \(key)", .malformed, "control character"),
      ("alice \(key) \u{0}", .malformed, "control character"),
      ("alice \(dss)", .unsupportedKey, "DSA"),
      ("alice ssh-ed25519-cert-v01@openssh.com AAAA", .unsupportedKey, "certificate"),
      ("alice ssh-new@example.com AAAA", .unsupportedKey, "ssh-new@example.com"),
      ("alice rsa-sha2-512 \(rsa.split(separator: " ")[1])", .unsupportedKey, "rsa-sha2-512"),
      ("alice cert-authority,cert-authority \(key)", .invalidOption, "twice"),
      ("alice cert-authority=\"yes\" \(key)", .invalidOption, "comma"),
      ("alice no-touch-required \(key)", .invalidOption, "no-touch-required"),
      ("alice cert-authority2 \(key)", .invalidOption, "cert-authority2"),
      ("alice namespace=\"git\" \(key)", .invalidOption, "namespace"),
      ("alice namespaces \(key)", .invalidOption, "in quotes"),
      ("alice namespaces=git \(key)", .invalidOption, "in quotes"),
      ("alice namespaces=\"git \(key)", .invalidOption, "closing"),
      ("alice namespaces=\"git\"x \(key)", .invalidOption, "comma"),
      ("alice namespaces=\"git\", \(key)", .invalidOption, "neither an option"),
      ("alice namespaces=\"git\",namespaces=\"file\" \(key)", .invalidOption, "twice"),
      ("alice valid-after=\"20230101\",valid-after=\"20230102\" \(key)", .invalidOption, "twice"),
      ("alice valid-before=\"20230101\",valid-before=\"20230102\" \(key)", .invalidOption, "twice"),
      ("alice valid-after=\"20230102\",valid-before=\"20230101\" \(key)", .invalidOption, "later"),
      ("alice valid-after=\"20230101\",valid-before=\"20230101\" \(key)", .invalidOption, "later"),
      ("alice valid-after=\"tomorrow\" \(key)", .invalidOption, "YYYYMMDD"),
      (String(repeating: "a", count: 1023) + " \(key)", .limitExceeded, "1022"),
      (String(repeating: "a,", count: 40_000) + " \(key)", .limitExceeded, "65536"),
    ]
    for (line, code, words) in cases {
      do throws(AllowedSignersError) {
        _ = try AllowedSigners(parsing: "# comment\nbob \(other)\n\(line)\nbob \(other)\n")
        Issue.record("Accepted: \(line.prefix(200))")
      } catch {
        #expect(error.code == code, "\(line.prefix(200)): \(error)")
        #expect(error.line == 3)
        #expect(error.description.contains("line 3: ") && error.message.contains(words), "\(error)")
      }
    }
  }

  @Test func `A byte order mark is refused, which would hide in the first line's principals`() {
    #expect(throws: AllowedSignersError.self) { try AllowedSigners(parsing: "\u{feff}alice \(key)") }
    #expect(throws: AllowedSignersError.self) { try AllowedSigners(parsing: "\u{feff}# comment\nalice \(key)") }
  }

  @Test func `A short RSA key is refused with its length`() throws {
    let weak = try SSHKeygen().makeKey("rsa-1024").publicLine
    do throws(AllowedSignersError) {
      _ = try AllowedSigners(parsing: "alice \(weak)")
      Issue.record("An RSA key of 1024 bits was accepted")
    } catch {
      #expect(error.code == .unsupportedKey && error.underlyingError?.code == .unsupportedSize)
      #expect(error.description.contains("1024 bits"))
    }
  }

  @Test func `A file longer than the limit is refused`() {
    let text = String(repeating: "# a comment 012\n", count: AllowedSigners.maximumFileSize / 16)
    #expect(throws: Never.self) { try AllowedSigners(parsing: text) }
    #expect(throws: AllowedSignersError.self) { try AllowedSigners(parsing: text + "\n") }
  }

  @Test func `No text stops the program`() throws {
    var generator = SeededGenerator(state: 4)
    let line = Array("\"a b\",*@c namespaces=\"git,x\\\"y\",valid-after=\"20230101120000Z\" \(key) comment\n# x\n".utf8)
    for _ in 0..<5_000 {
      var bytes = line
      for _ in 0...Int.random(in: 0..<4, using: &generator) {
        let index = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
        case 1: bytes.remove(at: index)
        default: bytes.insert(contentsOf: "\"\\,= \t\n!*".utf8.shuffled(using: &generator).prefix(2), at: index)
        }
      }
      if let signers = try? AllowedSigners(parsing: String(decoding: bytes, as: UTF8.self)) {
        let again = try AllowedSigners(parsing: signers.canonicalDescription)
        #expect(again.canonicalDescription == signers.canonicalDescription)
      }
    }
  }
}
