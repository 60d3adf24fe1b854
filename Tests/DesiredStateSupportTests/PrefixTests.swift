import DesiredStateSupport
import Testing

@Suite struct PrefixTests {
  @Test(
    "What comes after a prefix",
    arguments: [
      ("marker text", "marker ", "text"), ("marker", "marker", ""), ("marker", "", "marker"), ("", "", ""),
      ("mark", "marker", nil), ("Marker text", "marker ", nil), ("xmarker", "marker", nil),
      // One character to a reader, and other bytes.
      ("\u{e9}tag", "e\u{301}", nil), ("e\u{301}tag", "e", "\u{301}tag"),
    ] as [(String, String, String?)])
  func after(text: String, prefix: String, rest: String?) {
    let found = text[...].utf8.after(prefix)
    #expect(found.map { String(decoding: $0, as: UTF8.self) } == rest)
    // Of a part of a text, too.
    let part = ("<" + text)[...].dropFirst()
    #expect(part.utf8.after(prefix).map { String(decoding: $0, as: UTF8.self) } == rest)
  }
}
