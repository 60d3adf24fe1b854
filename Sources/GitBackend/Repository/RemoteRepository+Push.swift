import DesiredState

extension RemoteRepository {
  func advance(
    _ reference: String, _ make: @escaping @Sendable (AsyncObjectStore, Commit?) async throws -> ObjectID?
  ) async throws {
    var before: ObjectID?
    var refusals = 0
    try await Contention.untilMoved(reference, of: source) {
      let cache = try await openCache()
      let old = try await target(of: [reference])
      var tip: Commit?
      if let old { tip = try await commit(old, in: cache) }
      guard let new = try await make(cache.objects, tip) else { return true }
      let pack = try await cache.objects.use { [tip] store in try store.pack(of: new, without: tip) }
      if let refusal = try await push(new, to: reference, from: old, pack) {
        // Nobody moved it, and still it cannot be moved: then it is not for others.
        refusals = before == old ? refusals + 1 : 1
        before = old
        guard refusals < 4 else {
          throw BackendError(.forbidden, "\(source) does not take \(reference): \(refusal.prefix(200))")
        }
        return false
      }
      try await write(cache) { try cache.note(new) }
      try await tidy(cache, keeping: [new])
      return true
    }
  }

  /// Pushes one reference (gitprotocol-pack(5), pushing data to a server).
  ///
  /// - Returns: why it was not moved, if that may be because somebody else was first; nil if it was.
  /// - Throws: ``BackendError`` with `forbidden` if the server takes no such push.
  private func push(_ new: ObjectID, to reference: String, from old: ObjectID?, _ pack: [UInt8]) async throws -> String?
  {
    let command = "\(old?.hexadecimal ?? ObjectID.none) \(new) \(reference)\0 report-status\n"
    let request = Packet.encode(command) + Packet.encodedFlush + pack
    return try await converse(with: .receivePack) { [self] talk in
      if !road.isStateless { _ = try await Advertisement.read(try await talk.advertisement()) }
      let packets = try await talk.ask(request)
      var refusal: String? = "the server does not say why"
      while case let packet = try await packets.need(), packet != .flush {
        let line = packet.line ?? ""
        if line == "ok \(reference)" { refusal = nil }
        if line.hasPrefix("unpack "), line != "unpack ok" {
          throw packets.refusal("the push cannot be unpacked there: \(line.dropFirst(7))")
        }
        if line.hasPrefix("ng ") {
          let reason = String(line.dropFirst(4 + reference.utf8.count))
          guard Self.isContention(reason) else {
            throw BackendError(.forbidden, "\(source) does not take \(reference): \(reason.prefix(200))")
          }
          refusal = reason
        }
      }
      try await packets.finish()
      return refusal
    }
  }

  /// Whether a refusal means that somebody else was first: what git, and servers built on it, say then.
  private static func isContention(_ reason: String) -> Bool {
    [
      "fetch first", "non-fast-forward", "stale info", "failed to update ref", "failed to lock", "cannot lock ref",
      "incorrect old value", "already exists",
    ].contains { reason.contains($0) }
  }
}
