/// What a service says of itself: what it can do, and before protocol 2 also every reference (gitprotocol-pack(5)).
struct Advertisement: Sendable {
  /// 2, or the protocol before it (0 and 1 differ in one line).
  let isVersion2: Bool
  /// By name, with what follows the equals sign.
  let capabilities: [String: String]
  /// Those of the references that were asked for, before protocol 2.
  let references: [String: ObjectID]

  /// Whether the service says that it can do something. Nothing else is ever asked of it: many end the conversation at
  /// the first word that they did not offer themselves.
  func offers(_ name: String) -> Bool { capabilities[name] != nil }

  /// Whether `fetch` can do something (gitprotocol-v2(5), fetch), or the service itself before protocol 2.
  func offersToFetch(_ name: String) -> Bool {
    isVersion2
      ? capabilities["fetch"]?.split(separator: " ").contains { $0 == name } == true : capabilities[name] != nil
  }

  /// Whether `fetch` can be asked for a part of the history only.
  var isShallowCapable: Bool { offersToFetch("shallow") }

  /// Whether objects can be left out by kind (`filter`).
  var canFilter: Bool { offersToFetch("filter") }

  /// Whether files can be asked for one by one: by protocol 2 any object can be wanted that is there.
  var sendsParts: Bool { isVersion2 && canFilter && isShallowCapable }

  /// Whether commits are the first objects of a pack, which git and servers built on it see to. Others mix them (dulwich).
  var sendsCommitsFirst: Bool { capabilities["agent"]?.hasPrefix("git/") == true }

  /// The line that says how objects are named, to a service that has a word for it (git since 2.28).
  var objectFormat: [UInt8] { offers("object-format") ? Packet.encode("object-format=sha1\n") : [] }

  /// How long an advertisement may be before it is no longer believed, in bytes: a million references.
  private static let maximumSize = 128 << 20

  /// How much of it is read.
  enum Extent {
    /// All of it, keeping these references.
    case references(ReferenceQuery)
    /// What the service can do; the list of references is left where it is.
    case capabilities
  }

  /// Reads what comes first on a connection.
  static func read(_ packets: PacketReader, _ extent: Extent) async throws -> Advertisement {
    var packet = try await packets.need()
    if let line = packet.line, line.hasPrefix("# service=") {
      // gitprotocol-http(5): a line that names the service and a flush come first; servers of protocol 2 may leave it out.
      guard try await packets.need() == .flush else {
        throw GitProtocolError(.violation, "what it says of itself cannot be read; check the address")
      }
      packet = try await packets.need()
    }
    if packet.line == "version 2" { return try await readCapabilities(packets) }
    if packet.line == "version 1" { packet = try await packets.need() }
    return try await readReferences(from: packet, packets, extent)
  }

  private static func readCapabilities(_ packets: PacketReader) async throws -> Advertisement {
    var capabilities: [String: String] = [:]
    while case let packet = try await packets.need(), packet != .flush {
      guard let line = packet.line, capabilities.count < 100 else {
        throw GitProtocolError(.violation, "its list of capabilities cannot be read")
      }
      let (name, value) = split(line)
      capabilities[name] = value
    }
    return try Advertisement(isVersion2: true, capabilities: capabilities, references: [:]).checked()
  }

  private static func readReferences(
    from first: Packet, _ packets: PacketReader, _ extent: Extent
  ) async throws -> Advertisement {
    var capabilities: [String: String] = [:]
    var references: [String: ObjectID] = [:]
    var packet = first
    var isFirst = true
    var remaining = maximumSize
    while packet != .flush {
      guard case .data(let bytes) = packet else { throw unreadable }
      remaining -= bytes.count
      guard remaining > 0 else { throw GitProtocolError(.violation, "its list of references has no end") }
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
        guard line.count == 2, line[0].utf8.count >= 40 else { throw unreadable }
        if case .references(let query) = extent, query.includes(String(line[1])), let id = ObjectID(line[0]) {
          guard references.count < ReferenceQuery.limit else {
            throw GitProtocolError(.violation, "its list of references has no end")
          }
          references[String(line[1])] = id
        }
      }
      if case .capabilities = extent { break }
      packet = try await packets.need()
    }
    return try Advertisement(isVersion2: false, capabilities: capabilities, references: references).checked()
  }

  private static let unreadable = GitProtocolError(
    .violation, "its list of references cannot be read; check that the address is a repository's")

  private func checked() throws(GitProtocolError) -> Advertisement {
    guard capabilities["object-format"] ?? "sha1" == "sha1" else {
      throw GitProtocolError(
        .unsupported,
        "the repository names its objects by \(capabilities["object-format"] ?? "") and not by SHA-1, which cannot be read or written here; follow a repository with SHA-1 names"
      )
    }
    return self
  }

  private static func split(_ text: String) -> (String, String) {
    let equals = text.firstIndex(of: "=") ?? text.endIndex
    return (String(text[..<equals]), String(text[equals...].dropFirst()))
  }
}
