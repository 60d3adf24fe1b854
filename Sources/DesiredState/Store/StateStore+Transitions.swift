import DesiredStateSupport
package import FoundationEssentials

/// Every change of the record, each one durable when it returns, with the acknowledgements it causes in the same write.
extension StateStore {
  // MARK: - Sources

  /// Notes that a state was refused, in place of what the same source offered before.
  func refuse(_ refused: RefusedState, acknowledging acknowledgements: [Acknowledgement] = []) throws {
    try change(saying: acknowledgements) { $0.refusals[refused.source] = refused.storable }
  }

  /// What a source offers is not refused any more.
  func forgetRefusal(of source: String) throws { try change { $0.refusals[source] = nil } }

  /// Notes where a source stands in its own terms. Known at once; durable with the next change, because a source that
  /// has a new marker for the same state at every poll is no reason to write at every poll.
  func setMarker(_ marker: String?, of source: String) {
    changeInPassing { $0.markers[source] = marker.flatMap { $0.utf8.count > 4096 ? nil : $0 } }
  }

  /// The source offers what is adopted: nothing of it is refused any more, and its marker is kept for the next poll.
  func settle(_ source: String, marker: String?) throws {
    setMarker(marker, of: source)
    if record.refusals[source] != nil { try forgetRefusal(of: source) }
  }

  /// Forgets everything about sources that are no longer followed.
  func forgetSources(except sources: some Collection<String>) throws {
    let known = Set(sources)
    let adopted = record.adopted?.source
    try change { record in
      record.refusals = record.refusals.filter { known.contains($0.key) }
      record.markers = record.markers.filter { known.contains($0.key) || $0.key == adopted }
    }
    health.sources = health.sources.filter { known.contains($0.key) }
  }

  // MARK: - Applying

  /// Notes that the agent begins to put the adopted state to work: from here on its documents may be there, whether it
  /// finishes or not.
  func markApplying(_ state: AdoptedState, at time: Date) throws {
    guard record.touched.last != state.revision || record.attempt?.revision != state.revision else { return }
    let ids = Set((try manifest(of: state.revision)).documents.map(\.id))
    var touched = record.touched.filter { $0 != state.revision }
    // What this one replaces, name by name, need not be kept to be removed: only what it does not have.
    let before = touched.count
    touched.removeAll { revision in (try? manifest(of: revision).documents.allSatisfy { ids.contains($0.id) }) ?? false
    }
    let isUncertain = touched.count < before
    touched.append(state.revision)
    try change { record in
      record.touched = touched
      if isUncertain { record.isUncertain = true }
      if record.attempt?.revision != state.revision {
        record.attempt = ApplyAttempt(revision: state.revision, since: time, failures: 0)
      }
    }
  }

  /// Notes that the agent has finished putting the adopted state to work.
  ///
  /// - Parameter isOnTrial: whether it must prove itself before it counts as good; not if the device went back to it.
  package func markApplied(
    _ state: AdoptedState, at time: Date, isOnTrial: Bool = false,
    acknowledging acknowledgements: [Acknowledgement] = []
  ) throws {
    let kept = kept(adopted: record.adopted, applied: state.revision)
    try change(saying: acknowledgements) { record in
      let isOnTrial = isOnTrial && record.rollback == nil
      record.beginTrial(isOnTrial ? state.revision : nil, at: time)
      record.applied = AppliedState(
        revision: state.revision, version: state.version, signers: state.signers, source: state.source,
        origin: state.origin, at: time)
      record.touched = []
      record.isUncertain = nil
      record.attempt = nil
      if !isOnTrial { record.setOutcome(.applied, of: state.revision, at: time) }
      record.keep(kept)
    }
    collectGarbageIfPossible()
  }

  /// Notes that the agent could not put the adopted state to work.
  ///
  /// - Parameters:
  ///   - reason: why, in words.
  ///   - notBefore: when it may be tried again; nil: at the next poll.
  func applyFailed(
    _ state: AdoptedState, reason: String, at time: Date, notBefore: Date? = nil,
    acknowledging acknowledgements: [Acknowledgement] = []
  ) throws {
    try change(saying: acknowledgements) { record in
      var attempt = ApplyAttempt(revision: state.revision, since: time, failures: 0)
      if let before = record.attempt, before.revision == state.revision { attempt = before }
      attempt.failures += 1
      attempt.reason = printable(reason)
      attempt.failedAt = time
      attempt.notBefore = notBefore
      record.attempt = attempt
      record.setOutcome(.failed, of: state.revision, at: time, reason: reason)
    }
  }

  /// Allows a held state to be applied; nil takes it back.
  func approve(_ revision: Revision?) throws { try change { $0.approved = revision } }

  // MARK: - Back and forth

  /// Which state a rollback goes to: the one with this version, or the newest kept one before the adopted that was
  /// applied.
  ///
  /// - Throws: ``StoreError`` with `notKept` if there is none.
  func rollbackTarget(version: UInt64? = nil) throws -> AdoptedState {
    let others = record.history.filter { $0.state.revision != record.adopted?.revision }
    if let version {
      if let entry = others.first(where: { $0.state.version == version }) { return entry.state }
      if record.adopted?.version == version {
        throw StoreError(.notKept, "version \(version) is the adopted one already")
      }
      let kept = record.history.compactMap { $0.state.version.map(String.init) }.joined(separator: ", ")
      throw StoreError(.notKept, "version \(version) is not kept in \(path); kept are: \(kept.isEmpty ? "none" : kept)")
    }
    let candidates = others.filter { $0.state.revision != record.rollback?.from.revision }
    if let entry = candidates.first(where: { $0.outcome == .applied || $0.outcome == .rolledBack }) {
      return entry.state
    }
    throw StoreError(.notKept, "\(path) keeps no earlier state that was applied; there is nothing to go back to")
  }

  /// Goes back to a kept state: it becomes the adopted one. The floor stays, and the state before is not adopted again
  /// until a newer version is published or ``resume(at:acknowledging:)``.
  ///
  /// - Parameters:
  ///   - code: `operator` or `trial-failed`.
  ///   - reason: why, in words.
  /// - Throws: ``StoreError`` with `notKept`, or `documentDamaged` if the state's manifest is.
  func rollBack(
    to revision: Revision, code: String = "operator", reason: String, at time: Date,
    acknowledging acknowledgements: [Acknowledgement] = []
  ) throws {
    guard let adopted = record.adopted,
      let target = record.history.first(where: { $0.state.revision == revision })?.state,
      target.revision != adopted.revision
    else { throw StoreError(.notKept, "\(revision) is not an earlier state that is kept in \(path)") }
    _ = try manifest(of: revision)
    try change(saying: acknowledgements) { record in
      // Going back twice is still going back from the newest.
      let from = record.rollback?.from ?? adopted
      record.rollback =
        from.revision == target.revision
        ? nil : Rollback(from: from, to: target.revision, since: time, code: code, reason: printable(reason))
      record.adopted = target
      record.attempt = nil
      record.trial = nil
      record.setOutcome(code == "operator" ? .rolledBack : .failed, of: adopted.revision, at: time, reason: reason)
    }
  }

  /// Ends a rollback: the state that was rolled back from is the adopted one again.
  ///
  /// - Returns: that state; nil if no rollback is in force.
  @discardableResult
  func resume(at time: Date, acknowledging acknowledgements: [Acknowledgement] = []) throws -> AdoptedState? {
    guard let rollback = record.rollback else { return nil }
    try change(saying: acknowledgements) { record in
      record.adopted = rollback.from
      record.rollback = nil
      record.attempt = nil
    }
    return rollback.from
  }

  /// An operator's way out of a signed mistake.
  package struct Reset: Sendable, Equatable, Codable {
    /// The lowest version to adopt from now on: 0 for any; nil leaves it.
    package var floor: UInt64?
    /// Forget the newest signed time.
    package var clock: Bool
    /// Forget the refusals, of states and of acknowledgements, and how long sources and applies are left alone.
    package var refusals: Bool
    /// Forget all trust updates: the operator's own file counts again.
    package var trust: Bool

    /// Parts to reset; none if nothing is said.
    package init(floor: UInt64? = nil, clock: Bool = false, refusals: Bool = false, trust: Bool = false) {
      self.floor = floor
      self.clock = clock
      self.refusals = refusals
      self.trust = trust
    }

    /// The reset parts, in words.
    package var description: [String] {
      var what: [String] = []
      if let floor { what.append(floor == 0 ? "the version floor" : "the version floor, to \(floor)") }
      if clock { what.append("the newest signed time") }
      if refusals { what.append("the refusals") }
      if trust { what.append("the trust updates") }
      return what
    }
  }

  /// Resets what an operator says, recorded.
  func reset(_ reset: Reset, at time: Date, acknowledging acknowledgements: [Acknowledgement] = []) throws {
    try change(saying: acknowledgements) { record in
      if let version = reset.floor {
        // That version must be adoptable, by whichever revision: the floor is the one below it, which no revision has.
        record.floor = version <= 1 ? nil : VersionFloor(version: version - 1, revision: Revision(.of([])))
        record.rollback = nil
      }
      if reset.clock { record.newestSigned = nil }
      if reset.refusals {
        record.refusals = [:]
        record.attempt?.notBefore = nil
        // Said again; of the state as a whole the reset itself speaks.
        record.acknowledgements += (record.refusedAcknowledgements ?? []).map(\.acknowledgement).filter { again in
          again.subject != .state && !record.acknowledgements.contains { $0.subject == again.subject }
        }
        record.refusedAcknowledgements = nil
      }
      if reset.trust { record.trust = nil }
      record.resets =
        (record.resets + [ResetRecord(at: time, what: reset.description, adopted: record.adopted?.revision)])
        .suffix(16)
    }
    if reset.refusals {
      for source in health.sources.keys { health.sources[source]?.backoff = nil }
      health.delivery.backoff = [:]
      try? writeHealth(at: time)
    }
  }

  /// Makes a trust update durable. An earlier one than the device follows changes nothing.
  func follow(_ trust: TrustState) throws {
    guard trust.version > record.trust?.version ?? 0 else { return }
    try change { $0.trust = trust }
  }

  /// Notes which signers of the adopted state do not count any more.
  func markRevoked(_ signers: [RevokedSigner]) throws {
    try change { $0.revokedSigners = signers.isEmpty ? nil : signers }
  }

  // MARK: - Acknowledgements on their way

  /// Moves what the record says to the outbox, from where it is delivered. Called before every delivery.
  ///
  /// A kill between the two moves it again; the same acknowledgement has the same id, and counts once.
  ///
  /// - Throws: ``FileError``, ``StoreError`` for trouble with the outbox. The acknowledgements stay in the record.
  func moveAcknowledgements() async throws {
    let acknowledgements = record.acknowledgements
    guard !acknowledgements.isEmpty else { return }
    try await outbox.put(acknowledgements, unlessNewer: true)
    try change { record in
      record.acknowledgements.removeAll { acknowledgement in acknowledgements.contains { $0.id == acknowledgement.id } }
    }
  }

  /// Notes an acknowledgement that is given up.
  func giveUp(_ refused: RefusedAcknowledgement) throws {
    try change { record in
      let others = (record.refusedAcknowledgements ?? []).filter {
        $0.acknowledgement.subject != refused.acknowledgement.subject
      }
      // As many as a fleet manager that refuses all of them leaves to be read.
      record.refusedAcknowledgements = (others + [refused]).suffix(64)
    }
  }

  /// Something newer about these subjects was delivered: an earlier refusal is history.
  func forgetRefused(about subjects: some Collection<Acknowledgement.Subject>) throws {
    guard let refused = record.refusedAcknowledgements else { return }
    let rest = refused.filter { !subjects.contains($0.acknowledgement.subject) }
    try change { $0.refusedAcknowledgements = rest.isEmpty ? nil : rest }
  }

  // MARK: - Health

  /// Notes how a poll of a source went, or how long it is left alone. Written down when it is news, and seldom.
  func noteHealth(of source: String, at time: Date, _ edit: (inout SourceHealth) -> Void) throws {
    edit(&health.sources[source, default: SourceHealth()])
    try writeHealthIfDue(at: time)
  }

  /// Notes how delivering acknowledgements went.
  func noteDelivery(at time: Date, _ edit: (inout DeliveryHealth) -> Void) throws {
    edit(&health.delivery)
    try writeHealthIfDue(at: time)
  }

  /// Notes how a poll of a source went.
  func noteContact(with source: String, at time: Date, failure: BackendError? = nil, absence: Absence? = nil) throws {
    try noteHealth(of: source, at: time) { contact in
      if let failure {
        contact.lastError = .init(
          code: failure.code, message: failure.message, problem: failure.problemType, at: time)
      } else {
        contact.lastContact = time
        contact.lastError = nil
        contact.absent = absence
      }
    }
  }

  private func writeHealthIfDue(at time: Date) throws {
    // It is for people to read. A disk that does not take it stops no poll: what matters is refused by itself.
    if journal.isDue(health, at: time) { try? writeHealth(at: time) }
  }

  func writeHealth(at time: Date) throws {
    guard health != journal.written else { return }
    let bytes = try JSON.file(health)
    try Files.replace(StoreLayout(path).contacts, with: bytes, mode: 0o600, isDurable: false)
    journal.didWrite(health, at: time)
  }
}

extension RefusedState {
  /// Cut to what a record may hold of text that came from outside.
  fileprivate var storable: RefusedState {
    var refused = self
    refused.reason = printable(reason, limit: 4096)
    refused.evidence = evidence.prefix(32).map { printable($0, limit: 1024) }
    if let spoiled, spoiled.fingerprint.utf8.count > 4096 { refused.spoiled = nil }
    return refused
  }
}

extension StoreRecord {
  mutating func setOutcome(_ outcome: HistoryEntry.Outcome, of revision: Revision, at time: Date, reason: String? = nil)
  {
    guard let index = history.firstIndex(where: { $0.state.revision == revision }) else { return }
    history[index].outcome = outcome
    history[index].at = time
    history[index].reason = reason.map { printable($0) }
  }

  /// Keeps these states and no others, with all facts about them.
  mutating func keep(_ revisions: [Revision]) {
    kept = revisions
    history.removeAll { entry in !revisions.contains(entry.state.revision) }
  }
}
