/// Text from outside, made safe to show in an error message, a log line or a terminal: in quotes, escaped as
/// ``printable(_:limit:)`` does it, quotes and backslashes too, and cut short.
package func quoted(_ text: some StringProtocol, limit: Int = 80) -> String {
  "\"\(escaped(text, limit: limit, alsoQuotes: true))\""
}

/// A whole message with text from outside in it, made safe to show: what a terminal or a reader could take for
/// something else is escaped, and it is cut at a length.
///
/// Letters of every script are shown as they are. Escaped are control characters (C0, C1 and DEL), line and paragraph
/// separators, and invisible characters, bidirectional overrides among them.
///
/// - Parameter limit: how many Unicode scalars are shown.
package func printable(_ text: some StringProtocol, limit: Int = 4096) -> String {
  // Nearly all text is plain ASCII, and needs no copy.
  if text.utf8.count <= limit, text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return String(text) }
  return escaped(text, limit: limit, alsoQuotes: false)
}

private func escaped(_ text: some StringProtocol, limit: Int, alsoQuotes: Bool) -> String {
  var shown = ""
  var count = 0
  for scalar in text.unicodeScalars {
    guard count < limit else { return shown + "…" }
    count += 1
    if isInvisible(scalar) || alsoQuotes && (scalar == "\"" || scalar == "\\") {
      shown += scalar.escaped(asASCII: true)
    } else {
      shown.unicodeScalars.append(scalar)
    }
  }
  return shown
}

/// Whether a character can change how the text around it looks, or cannot be seen.
func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
  guard !(0x20..<0x7f).contains(scalar.value) else { return false }
  switch scalar.properties.generalCategory {
  case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return true
  default: return scalar.properties.isDefaultIgnorableCodePoint
  }
}
