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
