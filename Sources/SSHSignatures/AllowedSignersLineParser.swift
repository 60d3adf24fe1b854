import DesiredStateSupport
import FoundationEssentials

/// Reads one line of an `allowed_signers` file: principals, options, key type, base64, comment.
struct AllowedSignersLineParser {
  private let line: Int
  private var rest: Substring.UTF8View.SubSequence

  /// The longest line that is looked at, in bytes.
  static let maximumLineSize = 64 * 1024

  init(line: Int, bytes: Substring.UTF8View.SubSequence) {
    self.line = line
    rest = bytes
  }

  /// The entry, or nil for a line that is empty or a comment.
  mutating func parse() throws(AllowedSignersError) -> AllowedSigners.Entry? {
    try checkText()
    skipBlanks()
    guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
    let principals = try parsePrincipals()
    guard !rest.isEmpty else { throw missingKey }
    var options = Options()
    if !Self.looksLikeKeyType(rest.prefix { !Self.isBlank($0) }) {
      options = try parseOptions()
      skipBlanks()
    }
    let key = try parseKey()
    return AllowedSigners.Entry(
      line: line, principals: principals, isCertificateAuthority: options.isCertificateAuthority,
      namespaces: options.namespaces, validAfter: options.validAfter, validBefore: options.validBefore, key: key)
  }

  private func checkText() throws(AllowedSignersError) {
    guard rest.count <= Self.maximumLineSize else {
      throw error(.limitExceeded, "the line is longer than \(Self.maximumLineSize) bytes; split it into several")
    }
    guard !rest.starts(with: [0xef, 0xbb, 0xbf]) else {
      throw error(.malformed, "the line begins with a byte order mark; save the file as UTF-8 without one")
    }
    guard rest.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 }) else {
      throw error(
        .malformed, "the line has a control character in it; save the file as plain text with LF or CR LF line ends")
    }
  }

  // MARK: - Principals

  /// Up to a blank; in quotes when a principal has blanks in it. Nothing is escaped between the quotes.
  private mutating func parsePrincipals() throws(AllowedSignersError) -> SSHPatternList {
    var text = takePrefix { !Self.isBlank($0) && $0 != UInt8(ascii: "\"") }
    if rest.first == UInt8(ascii: "\"") {
      rest.removeFirst()
      text += takePrefix { $0 != UInt8(ascii: "\"") }
      guard rest.popFirst() != nil else {
        throw error(.malformed, "the principals have an opening quote and no closing one")
      }
      guard rest.first.map(Self.isBlank) ?? true else {
        throw error(.malformed, "the principals go on behind their closing quote; put quotes around all of them")
      }
    }
    guard !Self.looksLikeKeyType(text.utf8[...]) else {
      throw error(
        .malformed, "the line begins with a key; write who it belongs to before it, such as alice@example.com")
    }
    let principals = SSHPatternList(parsing: text)
    guard principals.canMatch else {
      throw error(.malformed, "the principals match nobody; write at least one without ! before it")
    }
    try checkPatterns(principals)
    skipBlanks()
    return principals
  }

  private func checkPatterns(_ list: SSHPatternList) throws(AllowedSignersError) {
    guard list.patterns.allSatisfy({ $0.utf8.count <= SSHPatternList.maximumPatternSize }) else {
      throw error(.limitExceeded, "a pattern is longer than \(SSHPatternList.maximumPatternSize) bytes")
    }
  }

  // MARK: - Options

  private struct Options {
    var isCertificateAuthority = false
    var namespaces: SSHPatternList?
    var validAfter: Date?
    var validBefore: Date?
  }

  /// `name="value"` between commas, up to a blank that is not in quotes.
  private mutating func parseOptions() throws(AllowedSignersError) -> Options {
    var options = Options()
    while true {
      let written = takePrefix { !Self.isBlank($0) && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "=") }
      let name = written.lowercased()
      switch name {
      case "cert-authority":
        guard !options.isCertificateAuthority else {
          throw error(.invalidOption, "cert-authority is given twice; write it once")
        }
        options.isCertificateAuthority = true
      case "namespaces":
        guard options.namespaces == nil else { throw givenTwice(name) }
        let namespaces = SSHPatternList(parsing: try parseValue(of: name))
        try checkPatterns(namespaces)
        options.namespaces = namespaces
      case "valid-after":
        guard options.validAfter == nil else { throw givenTwice(name) }
        options.validAfter = try parseTime(of: name)
      case "valid-before":
        guard options.validBefore == nil else { throw givenTwice(name) }
        options.validBefore = try parseTime(of: name)
      default:
        throw error(
          .invalidOption,
          "\(quoted(written)) is neither an option (cert-authority, namespaces=, valid-after=, valid-before=) nor a key type"
        )
      }
      guard let next = rest.first, !Self.isBlank(next) else { break }
      guard next == UInt8(ascii: ",") else {
        throw error(.invalidOption, "a comma must follow \(name) and its value, or a blank and the key")
      }
      rest.removeFirst()
    }
    if let after = options.validAfter, let before = options.validBefore, before <= after {
      throw error(.invalidOption, "valid-before= must be later than valid-after=")
    }
    return options
  }

  private func givenTwice(_ name: String) -> AllowedSignersError {
    error(.invalidOption, "\(name)= is given twice; write it once")
  }

  /// `="value"`, in which `\"` is a quote.
  private mutating func parseValue(of name: String) throws(AllowedSignersError) -> String {
    guard rest.popFirst() == UInt8(ascii: "="), rest.popFirst() == UInt8(ascii: "\"") else {
      throw error(.invalidOption, "\(name) needs a value in quotes, such as \(name)=\"…\"")
    }
    var value: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return String(decoding: value, as: UTF8.self) }
      if byte == UInt8(ascii: "\\"), rest.first == UInt8(ascii: "\"") {
        rest.removeFirst()
        value.append(UInt8(ascii: "\""))
      } else {
        value.append(byte)
      }
    }
    throw error(.invalidOption, "the value of \(name)= has an opening quote and no closing one")
  }

  private mutating func parseTime(of name: String) throws(AllowedSignersError) -> Date {
    let text = try parseValue(of: name)
    guard let time = AllowedSignersTimestamp.parse(text) else {
      throw error(
        .invalidOption,
        "\(quoted(text)) is not a time for \(name)=; write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, "
          + "with Z behind it for UTC")
    }
    return time
  }

  // MARK: - Key

  private func parseKey() throws(AllowedSignersError) -> SSHPublicKey {
    guard !rest.isEmpty else { throw missingKey }
    do {
      return try SSHPublicKey(parsing: String(decoding: rest, as: UTF8.self))
    } catch {
      let code: AllowedSignersError.Code = error.code == .malformed ? .malformed : .unsupportedKey
      throw AllowedSignersError(code, line: line, error.message, underlyingError: error)
    }
  }

  private var missingKey: AllowedSignersError {
    error(.malformed, "the line has no key; copy its type and its base64 from the .pub file")
  }

  /// Key types and options cannot be confused: no option begins like a key type.
  private static func looksLikeKeyType(_ word: some Collection<UInt8>) -> Bool {
    ["ssh-", "ecdsa-", "sk-", "rsa-", "webauthn-"].contains { word.starts(with: $0.utf8) }
  }

  // MARK: - Bytes

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09
  }

  private mutating func skipBlanks() {
    rest = rest.drop(while: Self.isBlank)
  }

  private mutating func takePrefix(while belongs: (UInt8) -> Bool) -> String {
    let prefix = rest.prefix(while: belongs)
    rest = rest.dropFirst(prefix.count)
    return String(decoding: prefix, as: UTF8.self)
  }

  private func error(_ code: AllowedSignersError.Code, _ message: String) -> AllowedSignersError {
    AllowedSignersError(code, line: line, message)
  }
}
