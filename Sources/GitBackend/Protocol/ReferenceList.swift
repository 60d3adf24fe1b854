import DesiredState

/// Asks what references lead to, by protocol 2 (gitprotocol-v2(5), ls-refs): for these names and no others, so that the
/// answer is as short for a repository of 5,000 branches as for one.
enum ReferenceList {
  static func ask(_ talk: any GitSession, for references: [String]) async throws -> ObjectID? {
    var request = Packet.encode("command=ls-refs\n") + Packet.encode("object-format=sha1\n") + Packet.encodedDelimiter
    for name in references { request += Packet.encode("ref-prefix \(name)\n") }
    let packets = try await talk.ask(request + Packet.encodedFlush)
    var found: [String: ObjectID] = [:]
    // A prefix: names that go on are in the answer too, and are not kept.
    var remaining = 16 << 20
    while case let packet = try await packets.need(), packet != .flush {
      guard let line = packet.line, case let words = line.split(separator: " "), words.count >= 2 else {
        throw packets.violation("its list of references is not one")
      }
      remaining -= line.utf8.count
      guard remaining > 0 else { throw packets.violation("its list of references has no end") }
      if let id = ObjectID(words[0]), references.contains(String(words[1])) { found[String(words[1])] = id }
    }
    try await packets.finish()
    return references.lazy.compactMap { found[$0] }.first
  }
}
