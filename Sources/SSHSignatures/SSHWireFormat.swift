import FoundationEssentials

/// Reads the data types of the SSH protocol (RFC 4251 section 5) from the front of some bytes.
///
/// Every read answers nil, and leaves the reader where it was, when the bytes do not hold the whole value: a length
/// from outside is compared with the bytes at hand before anything is done with it.
struct SSHWireReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) {
    rest = bytes
  }

  init(_ bytes: [UInt8]) {
    rest = bytes[...]
  }

  var isAtEnd: Bool { rest.isEmpty }

  /// How many bytes have not been read.
  var remainingCount: Int { rest.count }

  /// `byte[count]`
  mutating func readBytes(_ count: Int) -> ArraySlice<UInt8>? {
    guard count <= rest.count else { return nil }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  /// `byte`
  mutating func readByte() -> UInt8? {
    rest.popFirst()
  }

  /// `uint32`
  mutating func readUInt32() -> UInt32? {
    readBytes(4)?.reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// `uint64`
  mutating func readUInt64() -> UInt64? {
    readBytes(8)?.reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// `string`
  mutating func readString() -> ArraySlice<UInt8>? {
    var ahead = self
    guard let count = ahead.readUInt32(), let bytes = ahead.readBytes(Int(count)) else { return nil }
    self = ahead
    return bytes
  }

  /// `string` that holds text: UTF-8 without NUL. A C program reads "git" and "git\0" as the same word, so only one of
  /// them may be a word here.
  mutating func readText() -> String? {
    var ahead = self
    guard let bytes = ahead.readString(), !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self)
    else { return nil }
    self = ahead
    return text
  }

  /// `mpint` above zero, as its big-endian magnitude.
  ///
  /// Negative numbers, zero and unnecessary leading zeros answer nil: a number has one spelling, so that a key or a
  /// signature has one too.
  mutating func readPositiveInteger() -> ArraySlice<UInt8>? {
    var ahead = self
    guard let bytes = ahead.readString(), let first = bytes.first, first < 0x80 else { return nil }
    if first > 0 {
      self = ahead
      return bytes
    }
    let magnitude = bytes.dropFirst()
    guard let second = magnitude.first, second >= 0x80 else { return nil }
    self = ahead
    return magnitude
  }
}

extension [UInt8] {
  /// Appends an SSH `uint32` (RFC 4251 section 5).
  mutating func appendSSHUInt32(_ value: UInt32) {
    append(contentsOf: [UInt8(value >> 24), UInt8(value >> 16 & 0xff), UInt8(value >> 8 & 0xff), UInt8(value & 0xff)])
  }

  /// Appends an SSH `string` (RFC 4251 section 5).
  mutating func appendSSHString(_ bytes: some Collection<UInt8>) {
    appendSSHUInt32(UInt32(bytes.count))
    append(contentsOf: bytes)
  }
}

/// Decodes padded base64 (RFC 4648 section 4) that has no other spelling: no white space, no missing padding, no stray
/// bits behind the last byte. Otherwise nil.
func decodeCanonicalBase64(_ text: some Collection<UInt8>) -> [UInt8]? {
  let text = Data(text)
  guard let decoded = Data(base64Encoded: text), decoded.base64EncodedData() == text else { return nil }
  return [UInt8](decoded)
}
