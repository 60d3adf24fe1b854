/// A push of one reference (gitprotocol-pack(5), pushing data to a server), and what the server makes of it.
struct PushRequest: Sendable {
  let reference: String
  let old: ObjectID?
  let new: ObjectID
  let pack: [UInt8]

  enum Outcome: Sendable, Equatable {
    /// The reference is where it should be.
    case moved
    /// It is not, for this reason, in the server's words, with what a hook said.
    case refused(String, remarks: [String])
  }

  /// Pushes.
  ///
  /// - Parameter advertisement: what the service says of itself; it is asked for nothing else.
  func perform(in session: any GitSession, of advertisement: Advertisement) async throws -> Outcome {
    guard advertisement.offers("report-status") else {
      throw GitProtocolError(.unsupported, "it does not say whether a push succeeded, so nothing can be pushed to it")
    }
    let isBanded = advertisement.offers("side-band-64k")
    let capabilities = " report-status\(isBanded ? " side-band-64k" : "")"
    let command = "\(old?.hexadecimal ?? ObjectID.none) \(new) \(reference)\0\(capabilities)\n"
    let packets = try await session.ask(Packet.encode(command) + Packet.encodedFlush + pack)
    var remarks: [String] = []
    var report = packets
    if isBanded {
      // The report comes inside the first band, as packets of its own.
      var band = SideBand()
      var bytes: [UInt8] = []
      do {
        while case .data(let packet) = try await packets.need() {
          bytes += try band.content(of: packet) ?? []
          guard bytes.count < 1 << 20 else { throw GitProtocolError(.violation, "its report of a push has no end") }
        }
      } catch let error as GitProtocolError {
        throw band.explained(error)
      }
      remarks = band.remarks
      report = PacketReader(BytesAtHand(bytes), endsWithAnswer: true)
    }
    let outcome = try await read(report, remarks)
    try await packets.finish()
    return outcome
  }

  /// gitprotocol-pack(5), report-status.
  private func read(_ report: PacketReader, _ remarks: [String]) async throws -> Outcome {
    var outcome = Outcome.refused("the server does not say why", remarks: remarks)
    while case let packet = try await report.need(), packet != .flush {
      let line = packet.line ?? ""
      if line == "ok \(reference)" { outcome = .moved }
      if line.hasPrefix("unpack "), line != "unpack ok" {
        var error = GitProtocolError(.refused, "the push cannot be unpacked: \(line.dropFirst(7))")
        error.remarks = remarks
        throw error
      }
      if line.hasPrefix("ng ") {
        outcome = .refused(String(line.dropFirst(4 + reference.utf8.count)), remarks: remarks)
      }
    }
    return outcome
  }
}
