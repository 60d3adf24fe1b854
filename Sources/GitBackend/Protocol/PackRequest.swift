/// A question for a pack: which objects are wanted, and which are here already.
struct PackRequest: Sendable {
  enum Depth: Sendable, Equatable {
    /// All of the history.
    case everything
    /// So many generations.
    case generations(Int)
  }

  let wanted: [ObjectID]
  /// Commits that are here with all of their trees.
  var held: [ObjectID] = []
  /// Those of the held commits that are here without their parents.
  var boundary: [ObjectID] = []
  let depth: Depth
  /// Which objects may be left out, by a server that can (git-rev-list(1), --filter).
  enum Filter: String, Sendable {
    /// Only commits and tags come.
    case treesAndFiles = "tree:0"
    /// Only commits, tags and trees come.
    case files = "blob:none"
  }
  var leavingOut: Filter?

  /// On the wire, to a server that says this of itself.
  func encoded(for advertisement: Advertisement) -> [UInt8] {
    advertisement.isVersion2 ? version2(advertisement) : version0(advertisement)
  }

  /// The depth that the server is asked for.
  func depth(for advertisement: Advertisement) -> Depth { advertisement.isShallowCapable ? depth : .everything }

  /// As protocol 2 has it (gitprotocol-v2(5), fetch).
  private func version2(_ advertisement: Advertisement) -> [UInt8] {
    var request = Packet.encode("command=fetch\n") + advertisement.objectFormat + Packet.encodedDelimiter
    request += Packet.encode("no-progress\n") + Packet.encode("ofs-delta\n")
    if !held.isEmpty { request += Packet.encode("thin-pack\n") }
    request += deepening(advertisement)
    for id in wanted { request += Packet.encode("want \(id)\n") }
    for id in held { request += Packet.encode("have \(id)\n") }
    return request + Packet.encode("done\n") + Packet.encodedFlush
  }

  /// As the protocol before has it (gitprotocol-pack(5), packfile negotiation), all at once: nothing is negotiated.
  ///
  /// Some servers want what git offers in any case: dulwich a thin pack, Azure DevOps several acknowledgements.
  private func version0(_ advertisement: Advertisement) -> [UInt8] {
    var wishes = ["thin-pack", "ofs-delta", "no-progress"]
    wishes.append(advertisement.offers("multi_ack_detailed") ? "multi_ack_detailed" : "multi_ack")
    wishes.append(advertisement.offers("side-band-64k") ? "side-band-64k" : "side-band")
    if filter(advertisement) != nil { wishes.append("filter") }
    let capabilities = wishes.filter(advertisement.offers).joined(separator: " ")
    var request: [UInt8] = []
    for (number, id) in wanted.enumerated() {
      request += Packet.encode("want \(id)\(number > 0 || capabilities.isEmpty ? "" : " \(capabilities)")\n")
    }
    request += deepening(advertisement) + Packet.encodedFlush
    for id in held { request += Packet.encode("have \(id)\n") }
    return request + Packet.encode("done\n")
  }

  private func filter(_ advertisement: Advertisement) -> Filter? { advertisement.canFilter ? leavingOut : nil }

  private func deepening(_ advertisement: Advertisement) -> [UInt8] {
    var lines: [UInt8] = []
    if advertisement.isShallowCapable {
      for id in boundary { lines += Packet.encode("shallow \(id)\n") }
      if case .generations(let count) = depth { lines += Packet.encode("deepen \(count)\n") }
    }
    if let filter = filter(advertisement) { lines += Packet.encode("filter \(filter.rawValue)\n") }
    return lines
  }
}
