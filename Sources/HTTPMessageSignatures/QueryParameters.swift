import DesiredStateSupport

/// Query parameters as RFC 9421 section 2.2.8 has them: read as a form, and percent-encoded anew.
enum QueryParameters {
  /// The value of the one parameter with a name, which is given percent-encoded.
  static func value(of name: String, in query: Substring) throws(HTTPSignatureError) -> String {
    var values: [String] = []
    for item in query.split(separator: "&", omittingEmptySubsequences: true) {
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if encoded(parts[0]) == name { values.append(encoded(parts.count > 1 ? parts[1] : "")) }
    }
    guard let value = values.first else {
      throw HTTPSignatureError(.component, "the query has no parameter '\(name)'")
    }
    guard values.count == 1 else {
      throw HTTPSignatureError(.component, "the query has the parameter '\(name)' several times; none can be covered")
    }
    return value
  }

  /// Decoded as application/x-www-form-urlencoded, then encoded with the percent-encode set of the same name, in which a
  /// space is `%20` (WHATWG URL).
  private static func encoded(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(2)
      if byte == UInt8(ascii: "%"), digits.count == 2,
        digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
      }
    }
    return PercentEncoding.encode(bytes, leaving: "*-._")
  }
}
