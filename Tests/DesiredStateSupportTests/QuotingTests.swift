import DesiredStateSupport
import Testing

@Suite struct QuotingTests {
  /// Each of them can change how the text around it looks, or cannot be seen.
  static let hostile: [Unicode.Scalar] =
    (0..<0x20).map { Unicode.Scalar($0)! } + (0x7f..<0xa0).map { Unicode.Scalar($0)! }
    + [
      "\u{ad}", "\u{61c}", "\u{115f}", "\u{200b}", "\u{200e}", "\u{200f}", "\u{2028}", "\u{2029}", "\u{202a}",
      "\u{202e}", "\u{2060}", "\u{2066}", "\u{2069}", "\u{3164}", "\u{fe0f}", "\u{feff}", "\u{fff9}", "\u{e0001}",
      "\u{e000}",
    ]

  @Test("No hostile character stays as it is", arguments: hostile) func escaped(scalar: Unicode.Scalar) {
    for shown in [quoted("a\(scalar)b"), printable("a\(scalar)b")] {
      #expect(!shown.unicodeScalars.contains(scalar))
      #expect(shown.contains("a") && shown.contains("b"))
    }
  }

  @Test(
    "Letters of every script, and plain ASCII, stay as they are",
    arguments: ["press-42", "größe", "日本", "שלום", "e\u{301}"])
  func plain(text: String) {
    #expect(printable(text) == text)
    #expect(quoted(text) == "\"\(text)\"")
  }

  @Test("A quoted text cannot end its quotes") func quotes() {
    #expect(quoted("a\"b\\c") == "\"a\\\"b\\\\c\"")
    #expect(printable("a\"b\\c") == "a\"b\\c")
  }

  @Test("Text is cut at its limit, and says so") func cut() {
    #expect(quoted(String(repeating: "x", count: 81)) == "\"" + String(repeating: "x", count: 80) + "…\"")
    #expect(quoted("xyz", limit: 3) == "\"xyz\"")
    #expect(printable(String(repeating: "ü", count: 10), limit: 3) == "üüü…")
  }
}
