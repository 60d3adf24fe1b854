/// A packet of git's wire protocol (gitprotocol-common(5), pkt-line).
enum Packet: Sendable, Equatable {
  case data([UInt8])
  /// `0000`: the end of a message.
  case flush
  /// `0001`: the end of a section (gitprotocol-v2(5)).
  case delimiter
  /// `0002`: the end of a response on a connection without state.
  case responseEnd

  /// The text of a packet of data, without the line end; nil if it is another kind of packet, or no text.
  var line: String? {
    guard case .data(let bytes) = self else { return nil }
    return String(validating: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
  }

  /// A packet on the wire.
  static func encode(_ text: String) -> [UInt8] {
    let length = String(text.utf8.count + 4, radix: 16)
    return Array((String(repeating: "0", count: 4 - length.count) + length + text).utf8)
  }

  static let encodedFlush = Array("0000".utf8)
  static let encodedDelimiter = Array("0001".utf8)
}
