import DesiredState

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

/// Bytes as they come from the other end.
protocol ByteSource: AnyObject {
  /// The next bytes, never none; nil at the end.
  func next() async throws -> [UInt8]?
}

/// Reads packets from bytes as they come.
final class PacketReader {
  private let source: any ByteSource
  /// Who is at the other end, for messages.
  private let name: String
  /// Whether the stream ends with the answer; on a connection with state more answers follow.
  private let endsWithAnswer: Bool
  private var buffer: [UInt8] = []
  private var offset = 0

  init(_ source: any ByteSource, from name: String, endsWithAnswer: Bool) {
    self.source = source
    self.endsWithAnswer = endsWithAnswer
    self.name = name
  }

  /// The next packet; nil at the end of the stream, which must not be inside a packet.
  ///
  /// - Throws: ``BackendError``, also for what the server reports itself (`ERR`, gitprotocol-pack(5)).
  func next() async throws -> Packet? {
    guard try await fill(4) else { return nil }
    // Four digits and nothing else: what reads numbers for people takes a sign too.
    var length = 0
    for byte in buffer[offset..<offset + 4] {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
        throw violation("what came is not git's protocol; check the address")
      }
      length = length << 4 | digit
    }
    offset += 4
    switch length {
    case 0: return .flush
    case 1: return .delimiter
    case 2: return .responseEnd
    case 3: throw violation("a packet of length 3 is none")
    default: break
    }
    guard try await fill(length - 4) else { throw violation("the answer ended inside a packet") }
    let bytes = Array(buffer[offset..<offset + length - 4])
    offset += length - 4
    if bytes.starts(with: "ERR ".utf8) { throw refusal(String(decoding: bytes.dropFirst(4), as: UTF8.self)) }
    return .data(bytes)
  }

  /// The next packet, which must come.
  func need() async throws -> Packet {
    guard let packet = try await next() else { throw violation("the answer ended too early") }
    return packet
  }

  /// Reads on to the end of an answer of which all that matters was read, so that the connection can be used again.
  func finish() async throws {
    guard endsWithAnswer else { return }
    var ignored = buffer.count - offset
    while let bytes = try await source.next() {
      ignored += bytes.count
      guard ignored < 1 << 16 else { return }
    }
  }

  func violation(_ what: String) -> BackendError { BackendError(.protocolViolation, "\(name): \(what)") }

  func refusal(_ words: String) -> BackendError {
    let words = String(words.trimmingPrefix { $0.isWhitespace }.prefix(200)).split(whereSeparator: \.isNewline)
      .joined(separator: "; ")
    return BackendError(.serverError, "\(name) says: \(words.filter { !$0.isASCII || $0 >= " " })")
  }

  /// Makes `count` bytes available at the offset; false at the end of the stream, if none had come.
  private func fill(_ count: Int) async throws -> Bool {
    while buffer.count - offset < count {
      guard let bytes = try await source.next() else {
        guard buffer.count == offset else { throw violation("the answer ended inside a packet") }
        return count == 0
      }
      if offset == buffer.count {
        buffer = bytes
      } else {
        buffer.removeFirst(offset)
        buffer += bytes
      }
      offset = 0
    }
    return true
  }
}
