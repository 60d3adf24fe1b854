import FoundationEssentials

/// JSON as this package writes it.
package enum JSON {
  /// A JSON string literal (RFC 8259 section 7).
  package static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case "\u{0}"..<"\u{20}", "\u{7f}":
        let hex = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  /// One value on one line, keys sorted: the form of events and of records that machines read.
  package static func line(_ value: some Encodable) throws -> String {
    let encoder = encoder([.sortedKeys, .withoutEscapingSlashes])
    return escapingInvisible(String(decoding: try encoder.encode(value), as: UTF8.self))
  }

  /// One value over several lines, keys sorted, with a final newline: the form of files that people open.
  package static func file(_ value: some Encodable) throws -> [UInt8] {
    let text = String(
      decoding: try encoder([.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]).encode(value), as: UTF8.self)
    return Array((escapingInvisible(text) + "\n").utf8)
  }

  /// JSON in which every character that a terminal or a reader could take for something else is written as `\u` and its
  /// code. Outside of string literals JSON has none of them but white space.
  private static func escapingInvisible(_ text: String) -> String {
    guard !text.utf8.allSatisfy({ $0 < 0x7f }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
      if scalar.value >= 0x7f, isInvisible(scalar) {
        for unit in String(scalar).utf16 {
          let hexadecimal = String(unit, radix: 16)
          result += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        }
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// A value from JSON that ``JSONReader`` finds nothing wrong with.
  package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    try JSONReader.validate(bytes)
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .custom { decoder in
      let container = try decoder.singleValueContainer()
      let text = try container.decode(String.self)
      guard let date = Timestamp.parse(text) else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time: \(text)")
      }
      return date
    }
    return try decoder.decode(type, from: Data(bytes))
  }

  private static func encoder(_ formatting: JSONEncoder.OutputFormatting) -> JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = formatting
    encoder.dateEncodingStrategy = .custom { date, encoder in
      var container = encoder.singleValueContainer()
      try container.encode(Timestamp.text(date))
    }
    return encoder
  }
}
