/// Which references are asked for, and no others, so that the answer is as short for a repository of 5,000 branches as
/// for one.
enum ReferenceQuery: Sendable, Equatable {
  /// Full names.
  case names([String])
  /// All whose name begins so.
  case prefix(String)

  /// How many references are kept.
  static let limit = 100_000

  func includes(_ name: String) -> Bool {
    switch self {
    case .names(let names): names.contains(name)
    case .prefix(let prefix): name.hasPrefix(prefix)
    }
  }

  /// Asks by protocol 2 (gitprotocol-v2(5), ls-refs).
  func ask(_ session: any GitSession, of advertisement: Advertisement) async throws -> [String: ObjectID] {
    var request = Packet.encode("command=ls-refs\n") + advertisement.objectFormat + Packet.encodedDelimiter
    switch self {
    case .names(let names): for name in names { request += Packet.encode("ref-prefix \(name)\n") }
    case .prefix(let prefix): request += Packet.encode("ref-prefix \(prefix)\n")
    }
    let packets = try await session.ask(request + Packet.encodedFlush)
    var found: [String: ObjectID] = [:]
    // A prefix: names that go on are in the answer too, and are not kept.
    var remaining = 16 << 20
    while case let packet = try await packets.need(), packet != .flush {
      guard let line = packet.line, case let words = line.split(separator: " "), words.count >= 2 else {
        throw GitProtocolError(.violation, "its list of references cannot be read")
      }
      remaining -= line.utf8.count
      guard remaining > 0, found.count < Self.limit else {
        throw GitProtocolError(.violation, "its list of references has no end")
      }
      let name = String(words[1])
      if let id = ObjectID(words[0]), includes(name) { found[name] = id }
    }
    try await packets.finish()
    return found
  }
}
