/// Percent-encoding as URLs have it (RFC 3986 section 2.1).
package enum PercentEncoding {
  /// A path as a URL has it: everything that is not unreserved (RFC 3986 section 2.3) or a slash is encoded, a percent sign too.
  package static func encode(path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).map { encode(segment: String($0)) }
      .joined(separator: "/")
  }

  /// One segment of a path: as ``encode(path:)``, and a slash is encoded too.
  package static func encode(segment: String) -> String {
    encode(segment.utf8, leaving: "-._~")
  }

  /// Bytes with everything encoded but ASCII letters, digits and these other characters.
  package static func encode(_ bytes: some Sequence<UInt8>, leaving others: StaticString) -> String {
    var text = ""
    others.withUTF8Buffer { others in
      for byte in bytes {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          text.unicodeScalars.append(Unicode.Scalar(byte))
        case _ where others.contains(byte): text.unicodeScalars.append(Unicode.Scalar(byte))
        default: text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
        }
      }
    }
    return text
  }

  /// The text an encoding stands for; nil if a percent sign has no two hexadecimal digits after it, or the bytes are not
  /// UTF-8.
  package static func decode(_ text: Substring.UTF8View) -> String? {
    var bytes: [UInt8] = []
    var rest = text[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
