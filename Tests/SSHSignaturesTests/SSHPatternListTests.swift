import Testing

@testable import SSHSignatures

@Suite("OpenSSH pattern lists")
struct SSHPatternListTests {
  static let lists = [
    "alice@example.com", "*@example.com", "*@example.com,!bob@example.com", "!bob@example.com,*@example.com",
    "alice@example.???", "?lice@*", "*", "**", "?", "a*b*c", "*a*", "alice,bob", ",alice,,bob,", "alice,!*",
    "!!alice,*", "a?*", "*?", "Alice*", "*.example.com", "caf?", "caf??", "a*a*a*a*b", "[ab]lice", "alice, bob", "!bob",
  ]

  static let texts = [
    "alice@example.com", "bob@example.com", "alice", "bob", "a", "b", "abc", "aXbYc", "ab", "alice@example.org", " bob",
    "Alice", "caf\u{e9}", "press-42.example.com", ".example.com", "aaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaa", "!alice",
    "*",
  ]

  @Test(arguments: lists)
  func `A pattern list matches what it matches for ssh-keygen`(list: String) throws {
    let keygen = try SSHKeygen()
    let line = "\"\(list)\" \(try keygen.makeKey().publicLine)"
    let file = try keygen.file(containing: Array(line.utf8))
    for text in Self.texts {
      let outcome = try keygen.run(["-Y", "match-principals", "-I", text, "-f", file.path])
      #expect(SSHPatternList(parsing: list).matches(text) == (outcome.status == 0), "\(text)")
    }
  }

  @Test func `A list without a pattern matches nothing`() {
    #expect(!SSHPatternList(parsing: "").matches("alice"))
    #expect(!SSHPatternList(parsing: "").matches(""))
    #expect(!SSHPatternList(parsing: ",").matches("alice"))
  }

  @Test func `A pattern with many asterisks costs little`() {
    let pattern = String(repeating: "*a", count: 100) + "*b"
    let text = String(repeating: "a", count: 2_000)
    #expect(!SSHPatternList(parsing: pattern).matches(text))
    #expect(SSHPatternList(parsing: pattern).matches(text + "b"))
  }
}
