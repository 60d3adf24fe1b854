import DesiredStateSupport
import HTTPTypes

/// The header of a response as it came.
///
/// Its fields are read when they are first asked for: a poll that finds nothing new looks at the status alone.
final class ReceivedHeader: Sendable {
  let status: Int
  private let reason: [UInt8]
  private let lines: [UInt8]
  private let read = LockedValue<HTTPResponse?>(nil)

  /// - Parameter lines: one field each, with their line ends.
  init(status: Int, reason: [UInt8], lines: [UInt8]) {
    self.status = status
    self.reason = reason
    self.lines = lines
  }

  var response: HTTPResponse {
    read.withLock { read in
      if let read { return read }
      let response = HTTPResponse(
        status: .init(code: status, reasonPhrase: String(decoding: reason, as: UTF8.self)), headerFields: fields)
      read = response
      return response
    }
  }

  private var fields: HTTPFields {
    var fields: [HTTPField] = []
    for line in lines.split(whereSeparator: Self.isLineEnd) {
      if let first = line.first, Self.isSpace(first) {
        // RFC 9112 section 5.2: an obsolete line folding is one space.
        if let last = fields.popLast() {
          fields.append(HTTPField(name: last.name, lenientValue: Array((last.value + " ").utf8) + Self.trim(line)))
        }
      } else if let colon = line.firstIndex(of: UInt8(ascii: ":")),
        // A name that is no token cannot be asked for either; servers do send such fields, and they are passed over.
        let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
      {
        fields.append(HTTPField(name: name, lenientValue: Self.trim(line[(colon + 1)...])))
      }
    }
    return HTTPFields(fields)
  }

  static func isLineEnd(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  private static func trim(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let rest = bytes.drop(while: isSpace)
    return rest[..<(rest.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? rest.startIndex)]
  }
}
