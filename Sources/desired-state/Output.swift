import ArgumentParser
import DesiredState
import DesiredStateSupport
import Glibc

/// Where results go: standard output, one line at a time, for people or with `--json` for programs.
struct Output: Sendable {
  let isJSON: Bool
  /// Whether only trouble is told, because the result is something else than events.
  var isQuiet = false
  /// For a loop that a person or a journal listens to: lines that say the same again are left out. Programs get all.
  var repetitions: Repetitions?

  func write(_ event: EventLine) {
    if isQuiet, ["fetched", "verified"].contains(event.event) { return }
    guard isJSON else {
      if repetitions?.isRepeated(event) ?? false { return }
      return Self.line(Terminal.coloured(event.text, event: event.event))
    }
    // Encoding a value of strings and numbers cannot fail.
    if let line = try? JSON.line(event) { Self.line(line) }
  }

  private static let standardOutput = LineWriter(1) { complain($0) }

  /// Writes a line of the result.
  static func line(_ text: String) { standardOutput.write(text) }

  /// What went wrong, for a person.
  static func complain(_ error: some CustomStringConvertible) {
    write("desired-state: \(printable(Flags.added(to: "\(error)")))", to: 2)
  }

  /// A line of a command's, for a person: standard output is for the result.
  static func tell(_ text: String) { write(printable(text), to: 2) }

  private static func write(_ text: String, to descriptor: Int32) {
    var bytes = Array((text + "\n").utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress!, $0.count) }
      if written < 0 && errno != EINTR { return }
      bytes = bytes.dropFirst(max(written, 0))
    }
  }
}

/// One event as it is printed.
struct EventLine: Encodable, Sendable {
  var event: String
  var source: String?
  var revision: Revision?
  var version: UInt64?
  var origin: Origin?
  var code: String?
  var reason: String?
  var documents: Int?
  var signers: [Signer]?
  var document: String?
  var device: String?
  var state: String?
  /// The kind of problem in the source's own words: a URI (RFC 9457).
  var problem: String?

  /// `adopted      version 7 sha256:0123456789ab… from /mnt/usb/drop`
  var text: String {
    var parts = [event.padded(to: 12)]
    if let document { parts.append("document \(document)") }
    if let device { parts.append("device \(device)") }
    if let state { parts.append(state) }
    if let version { parts.append("version \(version)") }
    if let revision { parts.append(String(revision.description.prefix(19)) + "…") }
    if let documents { parts.append(documents == 1 ? "(1 document)" : "(\(documents) documents)") }
    if let source {
      let isTarget = ["published", "planned", "signed", "trust-published", "capabilities"].contains(event)
      parts.append((isTarget ? "to " : "from ") + source)
    }
    if let commit = origin?.commit { parts.append("commit \(commit.prefix(12))") }
    if let signers, !signers.isEmpty { parts.append("signed by " + signers.map(\.description).joined(separator: ", ")) }
    if let code { parts.append(reason == nil ? code : "\(code):") }
    if let reason { parts.append(reason) }
    return printable(parts.joined(separator: " "))
  }
}

extension EventLine {
  /// The line for an event; nil for one that is no news, such as the pause between two polls.
  init?(_ event: ReconcilerEvent) {
    self.init(
      event: "", source: event.source, revision: event.revision, version: event.version, origin: event.origin)
    switch event.kind {
    case .unchanged: self.event = "unchanged"
    case .absent(let absence): self = .absent(absence, source: event.source)
    case .fetched: self.event = "fetched"
    case .verified: self.event = "verified"
    case .adopted: self.event = "adopted"
    case .applied(let update):
      self.event = "applied"
      documents = update.documents.count
    case .unavailable(let error): self = .unavailable(error, source: event.source)
    case .rejected(let error):
      self = .rejected(error, source: event.source, revision: event.revision, origin: event.origin)
    case .acknowledged(let acknowledgement): self = .acknowledged(acknowledgement, source: event.source)
    case .applyFailed(let error):
      self.event = "apply-failed"
      (code, reason) = (event.code, printable("\(error)"))
    case .acknowledgementFailed(let error):
      // A source that takes none is no trouble: they wait for one that does.
      if (error as? BackendError)?.code == .unsupported { return nil }
      self.event = event.name
      let failure = error as? BackendError
      (code, reason, problem) = (event.code, printable(failure?.message ?? "\(error)"), failure?.problemType)
    case .acknowledgementRefused(let refused):
      self = .refused(refused)
    case .held(let hold):
      self.event = "held"
      (code, reason) = (hold.code, "\(hold)")
    case .credentialsExpiring(let end):
      self.event = event.name
      (code, reason) = (event.code, "the client certificate is valid until \(Timestamp.text(end)); renew it before")
    case .superseded: self.event = "superseded"
    case .proven: self.event = "proven"
    case .rolledBack(let left):
      self.event = "rolled-back"
      (code, reason) = (left.code, left.reason)
    case .waiting: return nil
    }
  }

  static func unavailable(_ error: BackendError, source: String?) -> EventLine {
    EventLine(
      event: "unavailable", source: source, code: error.code.rawValue, reason: Flags.added(to: error.message),
      problem: error.problemType)
  }

  static func absent(_ absence: Absence, source: String?) -> EventLine {
    EventLine(event: "absent", source: source, code: absence.part.rawValue, reason: absence.reason)
  }

  static func rejected(
    _ error: VerificationError, source: String?, revision: Revision?, origin: Origin?
  ) -> EventLine {
    EventLine(
      event: "rejected", source: source, revision: revision, version: error.version, origin: origin,
      code: error.code.rawValue, reason: Flags.added(to: error.reason))
  }

  /// An acknowledgement that was given up.
  static func refused(_ refused: RefusedAcknowledgement) -> EventLine {
    var line = acknowledged(refused.acknowledgement, source: refused.source)
    line.event = "acknowledgement-refused"
    (line.code, line.reason) = (refused.failure.code.rawValue, Flags.added(to: refused.failure.message))
    line.problem = refused.failure.problem
    return line
  }

  static func acknowledged(_ acknowledgement: Acknowledgement, source: String?) -> EventLine {
    var line = EventLine(
      event: "acknowledged", source: source, revision: acknowledgement.revision,
      version: acknowledgement.adoptedManifestVersion, origin: acknowledgement.origin)
    switch acknowledgement.outcome {
    case .adopted: line.state = "adopted"
    case .rejected(let rejection):
      line.state = "rejected"
      line.code = rejection.code
    case .rolledBack(let left):
      line.state = "rolled-back"
      (line.code, line.reason) = (left.code, left.reason)
    case .failed(let left):
      line.state = "failed"
      (line.code, line.reason) = (left.code, left.reason)
    case .reset(let what):
      line.state = "reset"
      line.reason = what.joined(separator: ", ")
    case .document(let status):
      line.document = status.documentID
      line.state = status.state.rawValue
    }
    return line
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
}
