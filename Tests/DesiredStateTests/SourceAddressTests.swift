import DesiredState
import Testing

@Suite struct SourceAddressTests {
  @Test("A path is taken as it is, question marks and percent signs too") func path() throws {
    let address = try SourceAddress("/mnt/usb/what?/50%")
    #expect(address.scheme == "file" && address.query.isEmpty)
    #expect(try address.filePath() == "/mnt/usb/what?/50%")
  }

  @Test("A URL has a scheme in lower case, and a query by name") func url() throws {
    let address = try SourceAddress("GIT+HTTPS://host/path?ref=main&path=sites%2Fnorth#fragment")
    #expect(address.scheme == "git+https" && address.location == "//host/path")
    #expect(address.query == ["ref": "main", "path": "sites/north"])
    #expect(address.queryText(without: ["ref"]) == "?path=sites%2Fnorth")
    #expect(address.queryText(without: ["ref", "path"]).isEmpty)
  }

  @Test("A file URL names a path on this machine") func fileURL() throws {
    #expect(try SourceAddress("file:///mnt/a%20b").filePath() == "/mnt/a b")
    #expect(try SourceAddress("file://localhost/mnt").filePath() == "/mnt")
    #expect(throws: SourceAddressError.self) { try SourceAddress("file://elsewhere/mnt").filePath() }
    #expect(throws: SourceAddressError.self) { try SourceAddress("file:///mnt/%00").filePath() }
  }

  @Test("Empty, undecodable or ambiguous: refused", arguments: ["", "https://host/?a=%zz", "https://host/?a=1&a=2"])
  func refused(text: String) {
    let error = #expect(throws: SourceAddressError.self) { try SourceAddress(text) }
    #expect(error?.code == .malformed)
  }
}

extension SourceAddressTests {
  @Test(
    "Paths and file URLs lead to the same place",
    arguments: [
      ("/mnt/usb/drop", "/mnt/usb/drop"), ("drop", "drop"), ("./a:b", "./a:b"), ("what?.d", "what?.d"),
      ("file:///mnt/a%20b", "/mnt/a b"), ("file://localhost/mnt", "/mnt"), ("file:/mnt", "/mnt"),
      ("FILE:///mnt", "/mnt"),
    ])
  func paths(_ text: String, _ path: String) throws {
    let address = try SourceAddress(text)
    #expect(address.scheme == "file")
    #expect(try address.filePath() == path)
  }

  @Test(
    "What cannot be a path is refused",
    arguments: ["file://server/share", "file:///a%00b", "file:///a%zz", "file:///a%+1", "file:"])
  func noPaths(_ text: String) {
    #expect(throws: SourceAddressError.self) { try SourceAddress(text).filePath() }
  }

  @Test("Scheme, location and query are told apart") func parts() throws {
    let address = try SourceAddress("git+https://host/repo.git?ref=main&path=sites%2Fa")
    #expect(address.scheme == "git+https")
    #expect(address.location == "//host/repo.git")
    #expect(address.query == ["ref": "main", "path": "sites/a"])
  }

  @Test("A query that names something twice is refused") func twice() {
    #expect(throws: SourceAddressError.self) { try SourceAddress("x+y://h?a=1&a=2") }
  }

  @Test("A scheme nobody serves is named, with those that are, and no secret is shown") func unknown() throws {
    #expect {
      _ = try BackendRegistry().backend(for: "ftp://user:secret@host/", context: BackendContext(device: "d"))
    } throws: {
      "\($0)".contains("ftp:") && !"\($0)".contains("secret")
    }
  }
}
