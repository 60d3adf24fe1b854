/// A list of patterns in the form that OpenSSH uses throughout (ssh_config(5), PATTERNS): separated by commas, `*` for
/// any bytes and `?` for any one byte, and `!` before a pattern that takes out what it matches.
public struct SSHPatternList: Sendable {
  /// The patterns in their order, each with its `!` if it has one. Empty ones are left out.
  public let patterns: [String]

  /// The longest pattern, in bytes; OpenSSH matches nothing with longer ones.
  static let maximumPatternSize = 1022

  /// The list as it is written, between commas.
  public init(parsing text: String) {
    patterns = text.utf8.split(separator: 0x2c).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether a pattern matches the whole of the text, byte for byte, and none with `!` does. A list without a pattern,
  /// or with `!` before each, matches nothing.
  public func matches(_ text: String) -> Bool {
    let text = Array(text.utf8)
    var isMatched = false
    for pattern in patterns {
      let pattern = Array(pattern.utf8)
      if pattern.first == 0x21 {
        guard !Self.matches(text, pattern.dropFirst()) else { return false }
      } else if !isMatched {
        isMatched = Self.matches(text, pattern[...])
      }
    }
    return isMatched
  }

  /// Whether some text could match: there is a pattern without `!`.
  var canMatch: Bool {
    patterns.contains { $0.utf8.first != 0x21 }
  }

  /// Takes time in proportion to the product of both lengths at worst: upon a mismatch only the last `*` is tried
  /// again, since what an earlier one could match in its place, the last one can too.
  private static func matches(_ text: [UInt8], _ pattern: ArraySlice<UInt8>) -> Bool {
    var textIndex = text.startIndex
    var patternIndex = pattern.startIndex
    var retry: (afterAsterisk: Int, textIndex: Int)?
    while textIndex < text.endIndex {
      if patternIndex < pattern.endIndex, pattern[patternIndex] == 0x2a {
        patternIndex += 1
        retry = (patternIndex, textIndex)
      } else if patternIndex < pattern.endIndex,
        pattern[patternIndex] == 0x3f || pattern[patternIndex] == text[textIndex]
      {
        patternIndex += 1
        textIndex += 1
      } else if let last = retry {
        patternIndex = last.afterAsterisk
        textIndex = last.textIndex + 1
        retry = (patternIndex, textIndex)
      } else {
        return false
      }
    }
    return pattern[patternIndex...].allSatisfy { $0 == 0x2a }
  }
}
