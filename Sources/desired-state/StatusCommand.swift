import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials
import RESTBackend

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Says whether this device is up to date, since when, from which source, and if not, why not.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Read and digest everything that is kept as well; exit status 1 if something is damaged.")
  var check = false
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws {
    try await reporting {
      let status = try await StoreStatus.read(store)
      let checked = check ? try await StoreCheck.run(store) : nil
      let capabilities = try await CapabilityReports(below: AgentOptions.recordDirectory(ofStore: store)).status()
      let now = Date()
      Output.line(
        json
          ? try JSON.line(StatusReport(status, capabilities, checked, at: now))
          : status.text(capabilities, checked, at: now))
      if checked?.damaged.isEmpty == false { throw ExitCode.failure }
    }
  }
}

/// `status --json`: one object, its keys always there.
private struct StatusReport: Encodable {
  let status: StoreStatus
  let capabilities: [CapabilityReports.Status]
  let check: StoreCheck?
  let now: Date

  init(_ status: StoreStatus, _ capabilities: [CapabilityReports.Status], _ check: StoreCheck?, at now: Date) {
    self.status = status
    self.capabilities = capabilities
    self.check = check
    self.now = now
  }

  enum CodingKeys: String, CodingKey {
    case upToDate, reason, clock, adopted, applied, attempt, rollback, refused, floor, sources, outbox, capabilities
    case trust, resets
    case damaged
  }

  struct Refused: Encodable {
    var revision: Revision?
    var version: UInt64?
    var code: VerificationError.Code
    var reason: String
    var evidence: [String]
    var source: String
    var origin: Origin?
    var at: Date
  }

  struct Source: Encodable {
    var source: String
    var lastContact: Date?
    var lastError: SourceHealth.Failure?
    var absent: Absence?
    var nextLook: Date?
    var credentialsExpire: Date?

    enum CodingKeys: String, CodingKey { case source, lastContact, lastError, absent, nextLook, credentialsExpire }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(source, forKey: .source)
      try container.encode(lastContact, forKey: .lastContact)
      try container.encode(lastError, forKey: .lastError)
      try container.encode(absent, forKey: .absent)
      try container.encode(nextLook, forKey: .nextLook)
      try container.encode(credentialsExpire, forKey: .credentialsExpire)
    }
  }

  /// What the device's clock says, and whether it can be right.
  struct Clock: Encodable {
    var now: Date
    var isPlausible: Bool
    var newestSigned: Date?

    enum CodingKeys: String, CodingKey { case now, isPlausible, newestSigned }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(now, forKey: .now)
      try container.encode(isPlausible, forKey: .isPlausible)
      try container.encode(newestSigned, forKey: .newestSigned)
    }
  }

  struct Waiting: Encodable {
    /// For a recipient that takes them.
    var waiting: Int
    /// For want of a recipient that takes them.
    var kept: Int
    var oldest: Date?
    var lastError: SourceHealth.Failure?
    var unreadable: [String]
    /// Given up: refused for good.
    var refused: [EventLine]

    enum CodingKeys: String, CodingKey { case waiting, kept, oldest, lastError, unreadable, refused }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(waiting, forKey: .waiting)
      try container.encode(kept, forKey: .kept)
      try container.encode(oldest, forKey: .oldest)
      try container.encode(lastError, forKey: .lastError)
      try container.encode(unreadable, forKey: .unreadable)
      try container.encode(refused, forKey: .refused)
    }
  }

  /// What the device trusts: the number of the trust update it follows, 0 for what it was set up with.
  struct Trust: Encodable {
    var version: UInt64
    var threshold: Int?
    var trustThreshold: Int?
    var at: Date?
    var signers: [Signer]?
    /// Signers of the adopted state that do not count any more, and why.
    var revokedSigners: [RevokedSigner]
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    let verdict = status.verdict(at: now)
    try container.encode(verdict.isUpToDate, forKey: .upToDate)
    try container.encode(verdict.reason, forKey: .reason)
    try container.encode(
      Clock(now: now, isPlausible: StoreStatus.isPlausible(now), newestSigned: status.newestSigned), forKey: .clock)
    // `encode` and not `encodeIfPresent`: what is not there is null.
    try container.encode(status.adopted, forKey: .adopted)
    try container.encode(status.applied, forKey: .applied)
    try container.encode(status.attempt, forKey: .attempt)
    try container.encode(status.rollback, forKey: .rollback)
    try container.encode(status.floor?.version, forKey: .floor)
    let refused = status.refused.map {
      Refused(
        revision: $0.revision, version: $0.version, code: $0.code, reason: $0.reason, evidence: $0.evidence,
        source: $0.source, origin: $0.origin, at: $0.at)
    }
    try container.encode(refused, forKey: .refused)
    let sources = status.sources.sorted { $0.key < $1.key }.map {
      Source(
        source: $0.key, lastContact: $0.value.lastContact, lastError: $0.value.lastError, absent: $0.value.absent,
        nextLook: $0.value.backoff.flatMap { $0.holds(at: now) ? $0.until : nil },
        credentialsExpire: $0.value.credentialsExpire)
    }
    try container.encode(sources, forKey: .sources)
    try container.encode(
      Waiting(
        waiting: status.waiting - status.untaken, kept: status.untaken, oldest: status.oldestTaken,
        lastError: status.deliveryError,
        unreadable: status.unreadable, refused: status.refusedAcknowledgements.map(EventLine.refused)),
      forKey: .outbox)
    try container.encode(capabilities, forKey: .capabilities)
    let trust = status.trust
    try container.encode(
      Trust(
        version: trust?.version ?? 0, threshold: trust?.threshold, trustThreshold: trust?.trustThreshold,
        at: trust?.at, signers: trust?.signers, revokedSigners: status.revokedSigners), forKey: .trust)
    try container.encode(status.resets, forKey: .resets)
    try container.encodeIfPresent(check?.damaged, forKey: .damaged)
  }
}

extension StoreStatus {
  /// Whether a clock can be right that says so.
  fileprivate static func isPlausible(_ now: Date) -> Bool { now >= Verifier.earliestPlausibleTime }

  /// The status as a person reads it.
  fileprivate func text(
    _ capabilities: [CapabilityReports.Status], _ check: StoreCheck?, at now: Date
  ) -> String {
    var lines: [String] = []
    func line(_ name: String, _ text: String) { lines.append(name.padded(to: 10) + printable(text)) }
    let verdict = verdict(at: now)
    line("status", "\(verdict.isUpToDate ? "up to date" : "not up to date"): \(verdict.reason)")
    if !Self.isPlausible(now) {
      line("clock", "clock implausible: it is \(Timestamp.text(now)), before this program was built; set it")
      if let newestSigned { line("", "expiry is judged by the newest signed time, \(Timestamp.text(newestSigned))") }
    }
    if let adopted {
      line("adopted", adopted.shown)
      let signers = adopted.signers.map(\.description).joined(separator: ", ")
      line("", signers.isEmpty ? "unsigned" : "signed by \(signers)")
      line("", "from \(adopted.source) at \(Timestamp.text(adopted.at))")
      if !adopted.origin.description.isEmpty { line("", adopted.origin.description) }
      if let expires = adopted.expires { line("", "expires \(Timestamp.text(expires))") }
    } else {
      line("adopted", "nothing yet")
    }
    if let applied, applied.revision == adopted?.revision, !isInPlace {
      line(
        "applied", "the adopted state, at \(Timestamp.text(applied.at)); another was begun since: it is applied again")
    } else if let applied, isInPlace {
      line("applied", "the adopted state, at \(Timestamp.text(applied.at))")
    } else if let applied {
      line(
        "applied", "another state: \(Self.shown(applied.version, applied.revision)), at \(Timestamp.text(applied.at))")
    } else {
      line("applied", "nothing yet")
    }
    if let attempt, attempt.failures > 0 {
      line(
        "",
        "failed \(attempt.failures) times, the last at \(attempt.failedAt.map(Timestamp.text) ?? "?"): \(attempt.reason ?? "")"
      )
      if let notBefore = attempt.notBefore, notBefore > now { line("", "tried again at \(Timestamp.text(notBefore))") }
    }
    if let rollback {
      line(
        "rollback",
        "from \(rollback.from.shown), since \(Timestamp.text(rollback.since)): \(rollback.code): \(rollback.reason)")
    }
    for refused in refused {
      line("refused", "\(refused.code): \(refused.reason)")
      let what = refused.revision.map { Self.shown(refused.version, $0) } ?? "a state that could not be read"
      line("", "\(what), from \(refused.source), since \(Timestamp.text(refused.at))")
      for evidence in refused.evidence { line("", evidence) }
    }
    if !revokedSigners.isEmpty {
      line("revoked", "the adopted state is signed by keys that do not count any more; publish one that others sign")
      for signer in revokedSigners { line("", signer.description) }
    }
    if let trust { line("trust", "update \(trust.version), since \(Timestamp.text(trust.at))") }
    for (source, contact) in sources.sorted(by: { $0.key < $1.key }) {
      line("source", source)
      line("", contact.lastContact.map { "last contact \(Timestamp.text($0))" } ?? "never reached")
      if let absent = contact.absent { line("", "publishes nothing: \(absent)") }
      if let error = contact.lastError { line("", "\(error.code) at \(Timestamp.text(error.at)): \(error.message)") }
      if let end = contact.credentialsExpire {
        line("", "the client certificate is valid until \(Timestamp.text(end)): renew it")
      }
      if let backoff = contact.backoff, backoff.holds(at: now) {
        line("", "not asked before \(Timestamp.text(backoff.until))\(backoff.isAskedFor ? ", as it wishes" : "")")
      }
    }
    let due = waiting - untaken
    line("outbox", due == 0 ? "empty" : "\(due) waiting, the oldest since \(oldestTaken.map(Timestamp.text) ?? "?")")
    if untaken > 0 {
      line("", "\(untaken) kept for a recipient that takes acknowledgements of its kind; none here does")
    }
    if due > 0, let error = deliveryError {
      line("", "\(error.code) at \(Timestamp.text(error.at)): \(error.message)")
    }
    for refused in refusedAcknowledgements {
      let what = EventLine.refused(refused)
      let words = [what.document.map { "document \($0)" }, what.state, what.version.map { "version \($0)" }]
      line("", "given up: \(words.compactMap(\.self).joined(separator: " ")), for \(refused.source)")
      line("", "\(refused.failure.code) at \(Timestamp.text(refused.failure.at)): \(refused.failure.message)")
    }
    for name in unreadable { line("", "\(name) cannot be read, and is kept aside") }
    for report in capabilities {
      line("device", "\(report.device)\(report.isWithdrawn ? ", withdrawn" : "")")
      if report.managers.isEmpty { line("", "no fleet manager was told yet") }
      for (manager, answer) in report.managers.sorted(by: { $0.key < $1.key }) {
        line("", "\(answer.state.rawValue) by \(manager)")
        if let error = answer.lastError { line("", "\(error.code) at \(Timestamp.text(error.at)): \(error.message)") }
      }
    }
    if let reset = resets.last {
      line("reset", "\(reset.what.joined(separator: ", ")), at \(Timestamp.text(reset.at))")
    }
    if let check {
      line("check", check.damaged.isEmpty ? "\(check.read) manifests and documents are whole" : "damaged:")
      for damage in check.damaged { line("", damage) }
    }
    return lines.joined(separator: "\n")
  }

  private static func shown(_ version: UInt64?, _ revision: Revision) -> String {
    [version.map { "version \($0)" }, revision.description].compactMap(\.self).joined(separator: ", ")
  }
}

extension AdoptedState {
  /// `version 7, sha256:0123…`
  var shown: String {
    [version.map { "version \($0)" }, revision.description].compactMap(\.self).joined(separator: ", ")
  }
}
