/// Reads the answer to a ``PackRequest``: the pack, in pieces.
struct PackAnswer {
  private let packets: PacketReader
  /// Nil where the pack comes as it is, from a server without side bands.
  private var band: SideBand?
  private var first: [UInt8]?
  /// Is called for each sign of life, also one that brings nothing.
  private let see: () -> Void

  /// Reads up to where the pack begins.
  init(
    _ packets: PacketReader, to request: PackRequest, of advertisement: Advertisement,
    seeing see: @escaping () -> Void = {}
  ) async throws {
    self.packets = packets
    self.see = see
    if advertisement.isVersion2 {
      band = SideBand()
      try await skipSections()
    } else {
      // What the server says of its history's ends ends with a flush; then come ACK or NAK lines, then the pack.
      if request.depth(for: advertisement) != .everything {
        while try await packets.need() != .flush {}
      }
      try await skipAcknowledgements()
    }
  }

  private mutating func skipSections() async throws {
    // gitprotocol-v2(5): sections with a title, ended by a delimiter; the pack is the last.
    while let title = try await packets.need().line {
      if title == "packfile" { return }
      while case .data = try await packets.need() {}
    }
    throw GitProtocolError(.violation, "it sends no pack")
  }

  private mutating func skipAcknowledgements() async throws {
    while try await !packets.isAtPack() {
      guard case .data(let bytes) = try await packets.need() else {
        throw GitProtocolError(.violation, "it sends no pack")
      }
      if bytes.starts(with: "NAK".utf8) || bytes.starts(with: "ACK ".utf8) { continue }
      (first, band) = (bytes, SideBand())
      return
    }
  }

  /// The next piece of the pack; nil at its end.
  mutating func next() async throws -> [UInt8]? {
    guard band != nil else {
      defer { see() }
      return try await packets.bytes()
    }
    while let bytes = try await packet() {
      if let content = try band?.content(of: bytes) { return content }
    }
    return nil
  }

  private mutating func packet() async throws -> [UInt8]? {
    if let begun = first {
      first = nil
      return begun
    }
    do {
      guard let packet = try await packets.next() else {
        // Only a flush ends a pack: a line that went dead does not.
        throw GitProtocolError(.violation, "the pack ended too early")
      }
      see()
      guard case .data(let bytes) = packet else { return nil }
      return bytes
    } catch let error as GitProtocolError {
      throw band?.explained(error) ?? error
    }
  }
}
