/// Bytes as they come from the other end.
protocol ByteSource: AnyObject {
  /// The next bytes, never none; nil at the end.
  func next() async throws -> [UInt8]?
}

/// Bytes that are here already.
final class BytesAtHand: ByteSource {
  private var bytes: [UInt8]?

  init(_ bytes: [UInt8]) { self.bytes = bytes.isEmpty ? nil : bytes }

  func next() async throws -> [UInt8]? {
    defer { bytes = nil }
    return bytes
  }
}

/// Reads packets from bytes as they come.
final class PacketReader {
  private let source: any ByteSource
  /// Whether the stream ends with the answer; on a connection with state more answers follow.
  private let endsWithAnswer: Bool
  private var buffer: [UInt8] = []
  private var offset = 0

  init(_ source: any ByteSource, endsWithAnswer: Bool) {
    self.source = source
    self.endsWithAnswer = endsWithAnswer
  }

  /// The next packet; nil at the end of the stream, which must not be inside a packet.
  ///
  /// - Throws: ``GitProtocolError``, also for what the server reports itself (`ERR`, gitprotocol-pack(5)).
  func next() async throws -> Packet? {
    guard try await fill(4) else { return nil }
    // Four digits and nothing else: what reads numbers for people takes a sign too.
    var length = 0
    for byte in buffer[offset..<offset + 4] {
      guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else {
        throw GitProtocolError(.violation, "what came is not git's protocol; check the address")
      }
      length = length << 4 | digit
    }
    offset += 4
    switch length {
    case 0: return .flush
    case 1: return .delimiter
    case 2: return .responseEnd
    case 3: throw GitProtocolError(.violation, "it sends a packet of length 3, which git does not have")
    default: break
    }
    guard try await fill(length - 4) else { throw Self.cut }
    let bytes = Array(buffer[offset..<offset + length - 4])
    offset += length - 4
    if bytes.starts(with: "ERR ".utf8) {
      throw GitProtocolError(.refused, String(decoding: bytes.dropFirst(4), as: UTF8.self))
    }
    return .data(bytes)
  }

  /// The next packet, which must come.
  func need() async throws -> Packet {
    guard let packet = try await next() else { throw GitProtocolError(.violation, "the answer ended too early") }
    return packet
  }

  /// Whether a bare pack comes next, without packets around it: what a server without side bands sends.
  func isAtPack() async throws -> Bool {
    guard try await fill(4) else { return false }
    return buffer[offset..<offset + 4].elementsEqual("PACK".utf8)
  }

  /// What comes next, as it comes; nil at the end of the stream.
  func bytes() async throws -> [UInt8]? {
    guard offset < buffer.count else { return try await source.next() }
    defer { (buffer, offset) = ([], 0) }
    return Array(buffer[offset...])
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

  private static let cut = GitProtocolError(.violation, "the answer ended inside a packet")

  /// Makes `count` bytes available at the offset; false at the end of the stream, if none had come.
  private func fill(_ count: Int) async throws -> Bool {
    while buffer.count - offset < count {
      guard let bytes = try await source.next() else {
        guard buffer.count == offset else { throw Self.cut }
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
