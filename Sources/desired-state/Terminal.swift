import Glibc

/// What a terminal shows and a file does not: colours, and how far long work is.
enum Terminal {
  private static func isSet(_ variable: String) -> Bool { getenv(variable).map { $0.pointee != 0 } ?? false }

  private static let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true

  /// Whether standard output wants colours (no-color.org).
  static let hasColours = isatty(1) == 1 && !isDumb && !isSet("NO_COLOR")

  /// Whether standard error is a terminal on which a line can be written over.
  static let canOverwrite = isatty(2) == 1 && !isDumb

  /// Columns of the terminal; 80 if it does not say.
  static var width: Int {
    var size = winsize()
    return ioctl(2, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }

  /// The word that a line begins with, in the colour of its event.
  static func coloured(_ line: String, event: String) -> String {
    let colour: Int
    switch event {
    case "adopted", "applied", "published", "signed", "verified", "proven", "trust-published": colour = 32
    case "rejected", "apply-failed", "rolled-back", "acknowledgement-refused": colour = 31
    case "unavailable", "absent", "held", "acknowledgement-failed": colour = 33
    default: return line
    }
    guard hasColours, line.hasPrefix(event) else { return line }
    return "\u{1b}[\(colour)m\(event)\u{1b}[0m\(line.dropFirst(event.count))"
  }
}
