import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Says what is adopted, by whose signature, what was refused and why, and what waits to be sent.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws {
    try await reporting {
      let status = try await StoreStatus.read(store)
      Output.line(json ? try JSON.line(StatusReport(status)) : status.text)
    }
  }
}

/// `status --json`: one object, its keys always there.
private struct StatusReport: Encodable {
  let status: StoreStatus

  init(_ status: StoreStatus) { self.status = status }

  enum CodingKeys: String, CodingKey { case adopted, applied, refused, sources, outbox, trust }

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
  }

  struct Waiting: Encodable {
    var waiting: Int
    var oldest: Date?
  }

  /// What the device trusts: the number of the trust update it follows, 0 for what it was set up with.
  struct Trust: Encodable {
    var version: UInt64
    var threshold: Int?
    var trustThreshold: Int?
    var at: Date?
    var signers: [Signer]?
    /// Signers of the adopted state whose keys were revoked since.
    var revokedSigners: [Signer]
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    // `encode` and not `encodeIfPresent`: what is not there is null.
    try container.encode(status.adopted, forKey: .adopted)
    try container.encode(status.applied, forKey: .applied)
    let refused = status.refused.map {
      Refused(
        revision: $0.revision, version: $0.version, code: $0.code, reason: Flags.added(to: $0.reason),
        evidence: $0.evidence, source: $0.source, origin: $0.origin, at: $0.at)
    }
    try container.encode(refused, forKey: .refused)
    let sources = status.sources.sorted { $0.key < $1.key }.map {
      Source(source: $0.key, lastContact: $0.value.lastContact, lastError: $0.value.lastError,
        absent: $0.value.absent)
    }
    try container.encode(sources, forKey: .sources)
    let trust = status.trust
    try container.encode(
      Trust(
        version: trust?.version ?? 0, threshold: trust?.threshold, trustThreshold: trust?.trustThreshold,
        at: trust?.at, signers: trust?.signers, revokedSigners: status.revokedSigners), forKey: .trust)
    try container.encode(Waiting(waiting: status.waiting, oldest: status.oldest), forKey: .outbox)
  }
}

extension StoreStatus {
  /// The status as a person reads it.
  fileprivate var text: String {
    var lines: [String] = []
    func line(_ name: String, _ text: String) { lines.append(name.padded(to: 10) + printable(text)) }
    func describe(_ version: UInt64?, _ revision: Revision?) -> String {
      [version.map { "version \($0)" }, revision?.description].compactMap { $0 }.joined(separator: ", ")
    }
    if let adopted {
      line("adopted", describe(adopted.version, adopted.revision))
      let signers = adopted.signers.map(\.description).joined(separator: ", ")
      line("", signers.isEmpty ? "unsigned" : "signed by \(signers)")
      line("", "from \(adopted.source) at \(Timestamp.text(adopted.at))")
      if !adopted.origin.description.isEmpty { line("", adopted.origin.description) }
      if let expires = adopted.expires { line("", "expires \(Timestamp.text(expires))") }
    } else {
      line("adopted", "nothing yet")
    }
    if let applied, applied.revision == adopted?.revision {
      line("applied", "the adopted state, at \(Timestamp.text(applied.at))")
    } else if let applied {
      line(
        "applied", "an older state: \(describe(applied.version, applied.revision)), at \(Timestamp.text(applied.at))")
    } else {
      line("applied", "nothing yet")
    }
    for refused in refused {
      line("refused", "\(refused.code): \(refused.reason)")
      let what = describe(refused.version, refused.revision)
      line(
        "",
        "\(what.isEmpty ? "a state that could not be read" : what), from \(refused.source), since \(Timestamp.text(refused.at))"
      )
      for evidence in refused.evidence { line("", evidence) }
    }
    if !revokedSigners.isEmpty {
      line("revoked", "the adopted state is signed by keys that are revoked since; publish one that others sign")
      for signer in revokedSigners { line("", signer.description) }
    }
    if let trust { line("trust", "update \(trust.version), since \(Timestamp.text(trust.at))") }
    for (source, contact) in sources.sorted(by: { $0.key < $1.key }) {
      line("source", source)
      line("", contact.lastContact.map { "last contact \(Timestamp.text($0))" } ?? "never reached")
      if let absent = contact.absent { line("", "publishes nothing: \(absent)") }
      if let error = contact.lastError { line("", "\(error.code) at \(Timestamp.text(error.at)): \(error.message)") }
    }
    line("outbox", waiting == 0 ? "empty" : "\(waiting) waiting, the oldest since \(oldest.map(Timestamp.text) ?? "?")")
    return lines.joined(separator: "\n")
  }
}
