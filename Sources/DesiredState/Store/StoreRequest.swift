import DesiredStateSupport
package import FoundationEssentials

/// What an operator asks of a store. A running agent has the store for itself, so that it is left there as a file, and the
/// agent does it.
package enum StoreRequest: Sendable, Equatable, Codable {
  /// Go back to the state with this version; nil: to the newest kept one before the adopted that was applied.
  case rollBack(version: UInt64?)
  /// End a rollback.
  case resume
  /// Let the adopted state be applied.
  case approve
  /// Reset what a signed mistake has left.
  case reset(StateStore.Reset)

  /// How a request was taken.
  package enum Reception: Sendable, Equatable {
    /// It is done, and durable; in words.
    case done(String)
    /// An agent has the store, and does it.
    case left
  }

  /// Does it at once if no agent has the store, and else leaves it for the agent.
  ///
  /// - Parameters:
  ///   - path: the store's directory.
  ///   - time: now, by the device's clock.
  /// - Throws: ``StoreError`` with `notAStore` if there is none, `notKept` if it cannot be done; ``FileError``.
  package func perform(onStore path: String, at time: Date) async throws -> Reception {
    let status = try await StoreStatus.read(path)
    do {
      let store = try await StateStore.open(path)
      do {
        let words = try await store.perform(self, at: time)
        await store.close()
        return .done(words)
      } catch {
        await store.close()
        throw error
      }
    } catch let error as StoreError where error.code == .locked {
      try check(against: status, path)
      let request = self
      try await Worker("desired-state.request").run { try request.leave(in: StoreLayout(path).requests, at: time) }
      return .left
    }
  }

  /// Whether an agent will be able to do it, as far as can be told now.
  private func check(against status: StoreStatus, _ path: String) throws {
    switch self {
    case .rollBack(let version?) where !status.history.contains { $0.state.version == version }:
      throw StoreError(.notKept, "version \(version) is not kept in \(path)")
    case .rollBack where status.history.count < 2:
      throw StoreError(.notKept, "\(path) keeps no earlier state; there is nothing to go back to")
    default: break
    }
  }

  private func leave(in directory: String, at time: Date) throws {
    try Files.createDirectories(directory, mode: 0o700)
    let order = UInt64(max(0, time.timeIntervalSince1970 * 1000))
    let name = String(repeating: "0", count: max(0, 15 - "\(order)".count)) + "\(order)-\(UUID().uuidString).json"
    try Files.replace(Files.join(directory, name), with: JSON.file(self), mode: 0o600)
    RequestBell.ring(in: directory)
  }
}

extension StateStore {
  /// Does what operators have asked, in the order in which they did.
  ///
  /// - Returns: each request and what was done, in words, or why it was not.
  func performRequests(at time: Date) throws -> [(request: StoreRequest, result: Result<String, any Error>)] {
    let directory = StoreLayout(path).requests
    guard try Files.status(of: directory) != nil else { return [] }
    var results: [(StoreRequest, Result<String, any Error>)] = []
    for name in try Files.names(in: directory).sorted() where name.hasSuffix(".json") && !name.hasPrefix(".") {
      let file = Files.join(directory, name)
      guard let bytes = try Files.read(file, limit: 1 << 16),
        let request = try? JSON.decode(StoreRequest.self, from: bytes)
      else {
        // Not one of ours, or of another version: kept for a person, and out of the way.
        try Files.rename(file, to: file + ".unreadable")
        continue
      }
      do {
        results.append((request, .success(try perform(request, at: time))))
      } catch let error as StoreError {
        results.append((request, .failure(error)))
      }
      // Done twice after a kill between the two does no harm: each says what is to be, and not what is to change.
      try Files.remove(file)
    }
    return results
  }

  /// Does one request, with the acknowledgement it causes.
  ///
  /// - Returns: what was done, in words.
  func perform(_ request: StoreRequest, at time: Date) throws -> String {
    func acknowledgement(about state: AdoptedState?, _ outcome: Acknowledgement.Outcome) -> [Acknowledgement] {
      guard let device = record.device else { return [] }
      return [
        Acknowledgement(
          device: device, revision: state?.revision, adoptedManifestVersion: state?.version, origin: state?.origin,
          time: time, outcome: outcome)
      ]
    }
    switch request {
    case .rollBack(let version):
      if let rollback = record.rollback, let version, record.adopted?.version == version {
        return "the device is on \(Self.name(record.adopted)) already, back from \(Self.name(rollback.from))"
      }
      let target = try rollbackTarget(version: version)
      let from = record.adopted
      let reason = "an operator asked for it"
      try rollBack(
        to: target.revision, reason: reason, at: time,
        acknowledging: acknowledgement(
          about: target,
          .rolledBack(
            .init(
              revision: from?.revision ?? target.revision, version: from?.version, code: "operator", reason: reason))))
      return "the device goes back from \(Self.name(from)) to \(Self.name(target))"
    case .resume:
      guard let rollback = record.rollback else { return "no rollback is in force" }
      try resume(at: time, acknowledging: acknowledgement(about: rollback.from, .adopted))
      return "the device is to be on \(Self.name(rollback.from)) again"
    case .approve:
      guard let adopted = record.adopted else {
        throw StoreError(.notKept, "nothing is adopted; there is nothing to approve")
      }
      try approve(adopted.revision)
      return "\(Self.name(adopted)) may be applied"
    case .reset(let reset):
      try self.reset(reset, at: time, acknowledging: acknowledgement(about: record.adopted, .reset(reset.description)))
      return "reset: \(reset.description.joined(separator: ", "))"
    }
  }

  private static func name(_ state: AdoptedState?) -> String {
    guard let state else { return "nothing" }
    return state.version.map { "version \($0)" } ?? state.revision.description
  }

  /// Rings when an operator leaves a request. Nil if that cannot be noticed; requests are then seen at the next poll.
  nonisolated func requestHints() -> AsyncStream<Void>? { RequestBell.hints(in: StoreLayout(path).requests) }
}
