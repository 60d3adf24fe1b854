import DesiredState

/// What a service says of itself: what it can do, and before protocol 2 also every reference (gitprotocol-pack(5)).
struct Advertisement: Sendable {
  /// 2, or the protocol before it (0 and 1 differ in one line).
  let isVersion2: Bool
  /// By name, with what follows the equals sign.
  let capabilities: [String: String]
  /// Those of the references that were asked for, before protocol 2.
  let references: [String: ObjectID]

  /// Whether `fetch` can be asked for a part of the history only.
  var isShallowCapable: Bool {
    isVersion2
      ? capabilities["fetch"]?.split(separator: " ").contains("shallow") == true : capabilities["shallow"] != nil
  }

  /// Whether it can be asked for what is newer than a time.
  var canDeepenSince: Bool { isVersion2 ? isShallowCapable : capabilities["deepen-since"] != nil }

  /// How long an advertisement may be before it is no longer believed, in bytes: a million references.
  private static let maximumSize = 128 << 20

  /// Reads what comes first on a connection.
  ///
  /// - Parameter names: the references to keep.
  static func read(_ packets: PacketReader, keeping names: [String] = []) async throws -> Advertisement {
    var packet = try await packets.need()
    if let line = packet.line, line.hasPrefix("# service=") {
      // gitprotocol-http(5): a line that names the service and a flush come first; servers of protocol 2 may leave it out.
      guard try await packets.need() == .flush else { throw packets.violation("its advertisement is not one") }
      packet = try await packets.need()
    }
    if packet.line == "version 2" { return try await readCapabilities(packets) }
    if packet.line == "version 1" { packet = try await packets.need() }
    return try await readReferences(from: packet, packets, keeping: names)
  }

  private static func readCapabilities(_ packets: PacketReader) async throws -> Advertisement {
    var capabilities: [String: String] = [:]
    while case let packet = try await packets.need(), packet != .flush {
      guard let line = packet.line, capabilities.count < 100 else {
        throw packets.violation("its list of capabilities is not one")
      }
      let (name, value) = split(line)
      capabilities[name] = value
    }
    return try Advertisement(isVersion2: true, capabilities: capabilities, references: [:]).checked(packets)
  }

  private static func readReferences(
    from first: Packet, _ packets: PacketReader, keeping names: [String]
  ) async throws -> Advertisement {
    var capabilities: [String: String] = [:]
    var references: [String: ObjectID] = [:]
    var packet = first
    var isFirst = true
    var remaining = maximumSize
    while packet != .flush {
      guard case .data(let bytes) = packet else { throw packets.violation("its list of references is not one") }
      remaining -= bytes.count
      guard remaining > 0 else { throw packets.violation("its list of references has no end") }
      let parts = bytes.split(separator: 0, maxSplits: 1)
      if isFirst, parts.count == 2 {
        for word in String(decoding: parts[1], as: UTF8.self).split(whereSeparator: \.isWhitespace) {
          let (name, value) = split(String(word))
          capabilities[name] = value
        }
      }
      isFirst = false
      let line = String(decoding: parts.first ?? [], as: UTF8.self).split(whereSeparator: \.isWhitespace)
      // `shallow` lines say where the server's own history ends.
      if line.first != "shallow" {
        guard line.count == 2, let id = ObjectID(line[0]) else {
          throw packets.violation("its list of references is not one; check that the address is a repository's")
        }
        if names.contains(String(line[1])) { references[String(line[1])] = id }
      }
      packet = try await packets.need()
    }
    return try Advertisement(isVersion2: false, capabilities: capabilities, references: references).checked(packets)
  }

  private func checked(_ packets: PacketReader) throws -> Advertisement {
    guard capabilities["object-format"] ?? "sha1" == "sha1" else {
      throw packets.violation("the repository names its objects by SHA-256, which libgit2 cannot read yet")
    }
    return self
  }

  private static func split(_ text: String) -> (String, String) {
    let equals = text.firstIndex(of: "=") ?? text.endIndex
    return (String(text[..<equals]), String(text[equals...].dropFirst()))
  }
}
