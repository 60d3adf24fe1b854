import DesiredState
import RESTBackend

/// Libraries speak of settings in words; a person at a terminal is told the flag as well.
enum Flags {
  static func flag(_ setting: BackendSettings.Key) -> String { "--" + setting.name }

  /// What messages call a setting, and its flag. The longest words come first: some begin like others.
  private static let words = BackendSettings.Key.shared.union([BackendSetting<String>.capabilities.key]).map {
    (words: $0.words, flag: flag($0))
  }
  .sorted { $0.words.utf8.count > $1.words.utf8.count }

  /// A message with the flag after the first mention of each setting: "the client certificate (--tls-cert) …". What is in
  /// double quotes came from outside, and stays as it is.
  static func added(to message: String) -> String {
    var result = ""
    var named: Set<String> = []
    for (index, part) in message.split(separator: "\"", omittingEmptySubsequences: false).enumerated() {
      if index > 0 { result += "\"" }
      result += index.isMultiple(of: 2) ? added(toUnquoted: part, &named) : String(part)
    }
    return result
  }

  private static func added(toUnquoted text: Substring, _ named: inout Set<String>) -> String {
    var result = ""
    var rest = text
    while !rest.isEmpty {
      if let match = words.first(where: { begins(rest, with: $0.words) }) {
        result += rest.prefix(match.words.count)
        rest = rest.dropFirst(match.words.count)
        if named.insert(match.flag).inserted { result += " (\(match.flag))" }
      } else {
        result.append(rest.removeFirst())
      }
    }
    return result
  }

  /// At the beginning of a sentence too.
  private static func begins(_ text: Substring, with words: String) -> Bool {
    text.hasPrefix(words) || text.hasPrefix(words.prefix(1).uppercased() + words.dropFirst())
  }
}
