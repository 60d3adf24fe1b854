/// Text from outside, made safe to show in an error message or a log line: in quotes, anything but printable ASCII
/// escaped (no terminal control sequence, no line break, no bidirectional override gets through), and cut short.
package func quotedForMessage(_ text: String, limit: Int = 80) -> String {
  var quoted = "\""
  for scalar in text.unicodeScalars.prefix(limit) {
    quoted += scalar.escaped(asASCII: true)
  }
  if text.unicodeScalars.dropFirst(limit).first != nil {
    quoted += "…"
  }
  return quoted + "\""
}
