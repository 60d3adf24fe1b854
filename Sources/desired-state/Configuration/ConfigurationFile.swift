import DesiredStateSupport

/// A file of settings: a line `name = value` for each, the names those of the options without their dashes.
///
/// An option without a value is set by its name alone, or by `true`, `yes` or `on`. `source` is where to look, and like every
/// setting that may be repeated stands once for each. A line that begins with `#` or `;` is a comment. A value goes to the end
/// of its line; blanks around it do not count, nor do double quotes around the whole of it.
struct ConfigurationFile {
  struct Setting {
    var line: Int
    var name: String
    /// Nil if the name stands alone.
    var value: String?
  }

  /// Something that is wrong, in words; with its line where it has one.
  struct Problem: Error, CustomStringConvertible {
    var file: String
    var line: Int?
    var setting: String?
    var message: String

    /// `/etc/desired-state/press.conf:7: there is no setting "intervall"`
    var description: String { "\(file)\(line.map { ":\($0)" } ?? ""): \(message)" }
  }

  static let maximumSize = 1 << 20

  let path: String
  private(set) var settings: [Setting] = []
  /// Lines that are none.
  private(set) var problems: [Problem] = []

  /// - Throws: ``Problem`` if the file cannot be read.
  init(reading path: String) throws(Problem) {
    let bytes: [UInt8]?
    do throws(FileError) {
      bytes = try Files.read(path, limit: Self.maximumSize)
    } catch {
      throw Problem(file: path, message: "the file of settings cannot be read: \(error)")
    }
    guard let bytes, let text = String(validating: bytes, as: UTF8.self) else {
      throw Problem(file: path, message: "the file of settings is too long, or not UTF-8 text")
    }
    self.init(path, text)
  }

  init(_ path: String, _ text: String) {
    self.path = path
    // By bytes: as characters, a carriage return and a line feed are one.
    for (index, line) in text.utf8.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      read(Substring(line), index + 1)
    }
  }

  private mutating func read(_ text: Substring, _ line: Int) {
    let text = Self.trimmed(text)
    guard let first = text.first, first != "#", first != ";" else { return }
    let equals = text.firstIndex(of: "=")
    let name = Self.trimmed(text[..<(equals ?? text.endIndex)])
    guard !name.isEmpty, name.utf8.allSatisfy(Self.isOfName) else {
      let advice = first == "[" ? "; there are no sections" : ""
      problems.append(
        Problem(file: path, line: line, message: "\(quoted(text)) is no line of the form 'name = value'\(advice)"))
      return
    }
    let value = equals.map { Self.unquoted(Self.trimmed(text[text.index(after: $0)...])) }
    settings.append(Setting(line: line, name: String(name), value: value))
  }

  private static func isOfName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
      true
    default: false
    }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
    let start = text.drop(while: isBlank)
    guard let end = start.lastIndex(where: { !isBlank($0) }) else { return start.prefix(0) }
    return start[...end]
  }

  /// Without the quotes around it, if there are no others: `"a b"`, but not `"a" "b"`, which a shell may be meant to read.
  private static func unquoted(_ value: Substring) -> String {
    guard value.count >= 2, value.first == "\"", value.last == "\"" else { return String(value) }
    let inside = value.dropFirst().dropLast()
    return inside.contains("\"") ? String(value) : String(inside)
  }
}
