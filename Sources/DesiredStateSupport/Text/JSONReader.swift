/// Reads JSON (RFC 8259) value by value, in memory that does not grow with the text, and refuses what two readers could
/// read in two ways.
///
/// Refused are a key that is given twice in one object, anything but UTF-8, a byte-order mark, comments, trailing
/// commas, numbers and escapes that the grammar does not have, and nesting beyond ``maximumDepth``. An integer is an
/// integer, which `7.0` and `7e0` are not.
package struct JSONReader {
  /// How deep values may be nested.
  package static let maximumDepth = 64
  /// How many keys an object may have.
  package static let maximumKeyCount = 4096

  /// The fault and its place.
  package struct Failure: Error, CustomStringConvertible {
    /// The fault of the value at `path`.
    package var message: String
    /// Where it is, as in `deployments[1].digest`; empty for the whole.
    package var path = ""
    /// The byte at which reading stopped, from 0.
    package var offset: Int

    package var description: String {
      path.isEmpty ? "\(message) (at byte \(offset))" : "\(path): \(message) (at byte \(offset))"
    }
  }

  private let bytes: [UInt8]
  private var index = 0
  private var depth = 0

  /// Begins to read a text, whose encoding is checked at once.
  package init(_ bytes: [UInt8]) throws(Failure) {
    self.bytes = bytes
    guard !bytes.starts(with: [0xef, 0xbb, 0xbf]) else {
      throw Failure(message: "it begins with a byte-order mark; save it as UTF-8 without one", offset: 0)
    }
    guard !bytes.prefix(4).contains(0) else {
      throw Failure(message: "it is UTF-16, UTF-32 or no text at all; save it as UTF-8", offset: 0)
    }
    do {
      _ = try UTF8Span(validating: bytes.span)
    } catch {
      throw Failure(message: "it is not UTF-8", offset: error.byteOffsets.lowerBound)
    }
  }

  /// Checks that a text is one value, without keeping anything of it.
  package static func validate(_ bytes: [UInt8]) throws(Failure) {
    var reader = try JSONReader(bytes)
    try reader.skip()
    try reader.end()
  }

  /// An error about the value that was just read or is next.
  package func failure(_ message: String) -> Failure { Failure(message: message, offset: min(index, bytes.count)) }

  // MARK: - Values

  /// Reads an object: `member` must read the value of each key.
  package mutating func object(
    _ member: (inout JSONReader, String) throws(Failure) -> Void
  ) throws(Failure) {
    try open(UInt8(ascii: "{"), "an object")
    var keys = KeySet()
    var isFirst = true
    while try next(UInt8(ascii: "}"), isFirst: isFirst) {
      isFirst = false
      guard peek() == UInt8(ascii: "\"") else { throw failure("a key in quotes is missing") }
      let key = try string()
      guard keys.insert(key) else { throw failure("the key \(quoted(key)) is given twice in one object") }
      guard keys.count <= Self.maximumKeyCount else {
        throw failure("an object has more than \(Self.maximumKeyCount) keys")
      }
      guard peek() == UInt8(ascii: ":") else { throw failure("a colon is missing behind \(quoted(key))") }
      index += 1
      do {
        try member(&self, key)
      } catch {
        throw Self.within(quoted: key, error)
      }
    }
    depth -= 1
  }

  /// Reads an array: `element` must read each element; it gets the number of it, from 0.
  package mutating func array(_ element: (inout JSONReader, Int) throws(Failure) -> Void) throws(Failure) {
    try open(UInt8(ascii: "["), "an array")
    var count = 0
    while try next(UInt8(ascii: "]"), isFirst: count == 0) {
      do {
        try element(&self, count)
      } catch {
        throw Self.within("[\(count)]", error)
      }
      count += 1
    }
    depth -= 1
  }

  /// Reads a string.
  package mutating func string() throws(Failure) -> String {
    let (range, hasEscapes) = try rawString()
    // Checked as a whole when reading began.
    return hasEscapes ? try unescaped(range) : String(decoding: bytes[range], as: UTF8.self)
  }

  /// Reads an integer from 0 to 2^64-1.
  package mutating func unsignedInteger() throws(Failure) -> UInt64 {
    guard let first = peek(), first == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
    else {
      throw failure("a number belongs here; it is written without quotes")
    }
    let start = index
    try number()
    let text = bytes[start..<index]
    guard text.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      throw failure("\(quoted(String(decoding: text.prefix(40), as: UTF8.self))) is not a whole number from 0 on")
    }
    guard let value = UInt64(String(decoding: text.prefix(40), as: UTF8.self)) else {
      throw failure("\(quoted(String(decoding: text.prefix(40), as: UTF8.self))) is larger than 2^64-1")
    }
    return value
  }

  /// Reads a number of any kind: its value if it is a whole one from 0 to 2^64-1, else nil.
  package mutating func countIfWhole() throws(Failure) -> UInt64? {
    _ = peek()
    let start = index
    try number()
    return UInt64(String(decoding: bytes[start..<index].prefix(40), as: UTF8.self))
  }

  /// Reads `null` if that is next.
  package mutating func isNull() throws(Failure) -> Bool {
    guard peek() == UInt8(ascii: "n") else { return false }
    try literal("null")
    return true
  }

  /// Reads any value and forgets it.
  package mutating func skip() throws(Failure) {
    switch peek() {
    case UInt8(ascii: "{"): try object { reader, _ throws(Failure) in try reader.skip() }
    case UInt8(ascii: "["): try array { reader, _ throws(Failure) in try reader.skip() }
    case UInt8(ascii: "\""):
      let (range, hasEscapes) = try rawString()
      if hasEscapes { _ = try unescaped(range) }
    case UInt8(ascii: "t"): try literal("true")
    case UInt8(ascii: "f"): try literal("false")
    case UInt8(ascii: "n"): try literal("null")
    default: try number()
    }
  }

  /// Checks that nothing but white space follows.
  package mutating func end() throws(Failure) {
    guard peek() == nil else { throw failure("more follows behind the end") }
  }

  // MARK: - Grammar

  /// The next byte that is not white space.
  private mutating func peek() -> UInt8? {
    while index < bytes.count {
      switch bytes[index] {
      case 0x20, 0x09, 0x0a, 0x0d: index += 1
      default: return bytes[index]
      }
    }
    return nil
  }

  private mutating func open(_ bracket: UInt8, _ kind: String) throws(Failure) {
    guard peek() == bracket else { throw failure("it is not \(kind)") }
    index += 1
    depth += 1
    guard depth <= Self.maximumDepth else { throw failure("it is nested deeper than \(Self.maximumDepth) levels") }
  }

  /// Whether another element follows; its comma is read, or else the closing bracket.
  private mutating func next(_ bracket: UInt8, isFirst: Bool) throws(Failure) -> Bool {
    guard let byte = peek() else { throw failure("it ends too early") }
    if byte == bracket {
      index += 1
      return false
    }
    guard !isFirst else { return true }
    guard byte == UInt8(ascii: ",") else { throw failure("a comma is missing") }
    index += 1
    guard let following = peek() else { throw failure("it ends too early") }
    guard following != bracket else { throw failure("a comma has nothing behind it") }
    return true
  }

  private mutating func literal(_ text: StaticString) throws(Failure) {
    for offset in 0..<text.utf8CodeUnitCount {
      guard index < bytes.count, bytes[index] == text.utf8Start[offset] else { throw failure("it is not a JSON value") }
      index += 1
    }
  }

  /// RFC 8259 section 6: no leading zero, no plus sign, digits on both sides of a point.
  private mutating func number() throws(Failure) {
    _ = peek()
    if index < bytes.count, bytes[index] == UInt8(ascii: "-") { index += 1 }
    let first = index
    guard digits() > 0 else { throw failure("it is not a JSON value") }
    guard bytes[first] != UInt8(ascii: "0") || index == first + 1 else {
      throw failure("a number begins with a needless 0")
    }
    if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
      index += 1
      guard digits() > 0 else { throw failure("a number has no digit behind its point") }
    }
    if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
      index += 1
      if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") { index += 1 }
      guard digits() > 0 else { throw failure("a number has no digit in its exponent") }
    }
  }

  private mutating func digits() -> Int {
    let start = index
    while index < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[index]) { index += 1 }
    return index - start
  }

  /// The bytes between a string's quotes, and whether there are escapes among them.
  private mutating func rawString() throws(Failure) -> (Range<Int>, hasEscapes: Bool) {
    guard peek() == UInt8(ascii: "\"") else { throw failure("it is not a string") }
    index += 1
    let start = index
    var hasEscapes = false
    while index < bytes.count {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        index += 1
        return (start..<index - 1, hasEscapes)
      case UInt8(ascii: "\\"):
        hasEscapes = true
        index += 2
      case 0..<0x20: throw failure("a string has a control character in it that is not escaped")
      default: index += 1
      }
    }
    throw failure("a string has no closing quote")
  }

  private static func within(quoted key: String, _ error: Failure) -> Failure {
    within("." + printable(key, limit: 40), error)
  }

  private static func within(_ step: String, _ error: Failure) -> Failure {
    var error = error
    error.path = error.path.isEmpty ? step : step + (error.path.hasPrefix("[") ? "" : ".") + error.path
    if error.path.hasPrefix(".") { error.path.removeFirst() }
    return error
  }
}

/// The keys of one object, as hashes: whatever their length, they cost eight bytes each. The hashes are seeded by chance, so that
/// no text can be made in which two different keys have one.
private struct KeySet {
  /// Most objects have few keys: those are compared with each other, without memory of their own.
  private var few: InlineArray<8, Int> = InlineArray(repeating: 0)
  private var rest: Set<Int> = []
  private(set) var count = 0

  /// - Returns: whether it is new.
  mutating func insert(_ key: String) -> Bool {
    var key = key
    var hasher = Hasher()
    key.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    let hash = hasher.finalize()
    for index in 0..<min(count, few.count) where few[index] == hash { return false }
    if count < few.count {
      few[count] = hash
    } else if !rest.insert(hash).inserted {
      return false
    }
    count += 1
    return true
  }
}

// MARK: - Escapes

extension JSONReader {
  /// The text of a string that has escapes in it (RFC 8259 section 7).
  private func unescaped(_ range: Range<Int>) throws(Failure) -> String {
    var text: [UInt8] = []
    var position = range.lowerBound
    while position < range.upperBound {
      guard bytes[position] == UInt8(ascii: "\\") else {
        text.append(bytes[position])
        position += 1
        continue
      }
      let escape = bytes[position + 1]
      position += 2
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
      case UInt8(ascii: "b"): text.append(0x08)
      case UInt8(ascii: "f"): text.append(0x0c)
      case UInt8(ascii: "n"): text.append(0x0a)
      case UInt8(ascii: "r"): text.append(0x0d)
      case UInt8(ascii: "t"): text.append(0x09)
      case UInt8(ascii: "u"):
        text.append(contentsOf: String(try scalar(at: &position, before: range.upperBound)).utf8)
      default: throw failure("a string has an escape in it that JSON does not have")
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The scalar whose four digits begin at a position; beyond the first 65,536 it has two halves.
  private func scalar(at position: inout Int, before end: Int) throws(Failure) -> Unicode.Scalar {
    let first = try unit(at: &position, before: end)
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xdc00, position + 1 < end, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    else { throw failure("a string has half a character in it (\\ud800 to \\udfff)") }
    position += 2
    let second = try unit(at: &position, before: end)
    guard (0xdc00..<0xe000).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
    else { throw failure("a string has half a character in it (\\ud800 to \\udfff)") }
    return scalar
  }

  private func unit(at position: inout Int, before end: Int) throws(Failure) -> UInt16 {
    guard position + 4 <= end else { throw failure("a string has an escape in it that is cut short") }
    let digits = bytes[position..<position + 4]
    guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let value = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("a string has an escape in it without four hexadecimal digits") }
    position += 4
    return value
  }
}
