import DesiredState
import Testing

@Suite struct DocumentIDTests {
  @Test("Relative paths of ordinary names are fine", arguments: [["press.yaml", "line/belt.yaml", "größe", "日本"], []])
  func fine(ids: [String]) {
    #expect(throws: Never.self) { try DocumentID.check(ids) }
  }

  @Test(
    "What could leave the directory, or hide in it, is refused",
    arguments: [
      "", ".", "..", "/etc/passwd", "a//b", "a/", "../a", "a/../b", "a\\b", "a\u{0}b", "a\u{1b}b", "a\u{9b}b",
      "a\u{202e}b", "a\u{2028}b", "a\nb", String(repeating: "a", count: 256), String(repeating: "a/", count: 600) + "a",
    ])
  func unsafe(id: String) {
    let error = #expect(throws: VerificationError.self) { try DocumentID.check([id]) }
    #expect(error?.code == .unsafeDocumentID)
    #expect(error?.reason.unicodeScalars.contains { $0.properties.generalCategory == .control } == false)
  }

  @Test(
    "Two ids that some file system takes for one are refused",
    arguments: [["Press", "press"], ["caf\u{e9}", "cafe\u{301}"], ["a", "a/b"], ["A", "a/b"]])
  func twins(ids: [String]) {
    #expect(throws: VerificationError.self) { try DocumentID.check(ids) }
  }
}
