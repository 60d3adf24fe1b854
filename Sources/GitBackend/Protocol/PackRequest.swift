import DesiredState

/// A question for a pack: which objects are wanted, and what is here already.
struct PackRequest: Sendable {
  enum Depth: Sendable, Equatable {
    /// All of the history.
    case everything
    /// So many generations.
    case generations(Int)
    /// What was committed at this time, in seconds since 1970, or later.
    case since(Int64)
  }

  let wanted: ObjectID
  /// Commits that are here with all of their trees, and nothing of their history.
  let held: [ObjectID]
  /// Commits that are here without their parents.
  let boundary: [ObjectID]
  let depth: Depth

  /// As protocol 2 has it (gitprotocol-v2(5), fetch).
  var version2: [UInt8] {
    var request = Packet.encode("command=fetch\n") + Packet.encode("object-format=sha1\n") + Packet.encodedDelimiter
    request += Packet.encode("no-progress\n") + Packet.encode("ofs-delta\n")
    if !held.isEmpty { request += Packet.encode("thin-pack\n") }
    request += deepening + Packet.encode("want \(wanted)\n")
    for id in held { request += Packet.encode("have \(id)\n") }
    return request + Packet.encode("done\n") + Packet.encodedFlush
  }

  /// As the protocol before has it (gitprotocol-pack(5), packfile negotiation), all at once: nothing is negotiated.
  func version0(_ advertisement: Advertisement) -> [UInt8] {
    let wishes = ["side-band-64k", "ofs-delta", "no-progress"] + (held.isEmpty ? [] : ["thin-pack"])
    var capabilities = wishes.filter { advertisement.capabilities[$0] != nil }
    if case .since = depth { capabilities.append("deepen-since") }
    var request = Packet.encode("want \(wanted) \(capabilities.joined(separator: " "))\n") + deepening
    request += Packet.encodedFlush
    for id in held { request += Packet.encode("have \(id)\n") }
    return request + Packet.encode("done\n")
  }

  private var deepening: [UInt8] {
    var lines = boundary.flatMap { Packet.encode("shallow \($0)\n") }
    switch depth {
    case .everything: break
    case .generations(let count): lines += Packet.encode("deepen \(count)\n")
    case .since(let time): lines += Packet.encode("deepen-since \(time)\n")
    }
    return lines
  }
}

/// Reads the answer to a ``PackRequest``: the pack, in pieces.
struct PackAnswer {
  private let packets: PacketReader
  private let isVersion2: Bool
  private var first: [UInt8]?

  /// Reads up to where the pack begins.
  init(_ packets: PacketReader, to request: PackRequest, isVersion2: Bool) async throws {
    self.packets = packets
    self.isVersion2 = isVersion2
    if isVersion2 {
      try await skipSections()
    } else {
      // What the server says of its history's ends ends with a flush; then come ACK or NAK lines, then the pack.
      if request.depth != .everything { while try await packets.need() != .flush {} }
      while case .data(let bytes) = try await packets.need() {
        if bytes.starts(with: "NAK".utf8) || bytes.starts(with: "ACK ".utf8) { continue }
        first = bytes
        return
      }
      throw packets.violation("it sends no pack")
    }
  }

  private mutating func skipSections() async throws {
    // gitprotocol-v2(5): sections with a title, ended by a delimiter; the pack is the last.
    while let title = try await packets.need().line {
      if title == "packfile" { return }
      while case .data = try await packets.need() {}
    }
    throw packets.violation("it sends no pack")
  }

  /// The next piece of the pack; nil at its end.
  mutating func next() async throws -> [UInt8]? {
    while true {
      let bytes: [UInt8]
      if let begun = first {
        bytes = begun
        first = nil
      } else {
        guard let packet = try await packets.next() else {
          // Only a flush ends a pack: a line that went dead does not.
          throw packets.violation("the pack ended too early")
        }
        guard case .data(let data) = packet else { return nil }
        bytes = data
      }
      // gitprotocol-pack(5), side-band: the first byte says what the rest is.
      switch bytes.first {
      case 1 where bytes.count > 1: return Array(bytes.dropFirst())
      case 1, 2: continue
      case 3: throw packets.refusal(String(decoding: bytes.dropFirst(), as: UTF8.self))
      default: throw packets.violation("the pack does not come in a side band")
      }
    }
  }
}
