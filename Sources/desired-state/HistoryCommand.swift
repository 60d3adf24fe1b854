import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials

struct HistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Lists the states that this device adopted and keeps: from where, by whose signature, and how it went.",
    discussion: "What an operator reset stands between them, at its time.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object a line, newest state first.") var json = false

  func run() async throws {
    try await reporting {
      let status = try await StoreStatus.read(store)
      var resets = status.resets
      func tell(_ reset: ResetRecord) throws {
        Output.line(json ? try JSON.line(ResetLine(reset)) : reset.text)
      }
      for entry in status.history {
        // Times are in seconds: one of the same second as an adoption came after it only if that was adopted then.
        while let reset = resets.last, reset.adopted == entry.state.revision || reset.at > entry.state.at {
          try tell(resets.removeLast())
        }
        Output.line(json ? try JSON.line(HistoryLine(entry, status)) : entry.text(status))
      }
      for reset in resets.reversed() { try tell(reset) }
      if status.history.isEmpty, !json { Output.line("nothing was adopted yet") }
    }
  }
}

/// One line of `history --json`.
private struct HistoryLine: Encodable {
  var revision: Revision
  var version: UInt64?
  var origin: Origin
  var signers: [Signer]
  var source: String
  var adoptedAt: Date
  var outcome: HistoryEntry.Outcome
  var at: Date
  var reason: String?
  /// Whether it is the state that this device is to be on, and the one that it is on.
  var isAdopted: Bool
  var isApplied: Bool

  init(_ entry: HistoryEntry, _ status: StoreStatus) {
    revision = entry.state.revision
    version = entry.state.version
    origin = entry.state.origin
    signers = entry.state.signers
    source = entry.state.source
    adoptedAt = entry.state.at
    outcome = entry.outcome
    at = entry.at
    reason = entry.reason
    isAdopted = status.adopted?.revision == revision
    isApplied = status.applied?.revision == revision
  }
}

/// What `history --json` prints of a reset.
private struct ResetLine: Encodable {
  var outcome = "reset"
  var at: Date
  /// The reset parts, in words.
  var reset: [String]

  init(_ record: ResetRecord) { (at, reset) = (record.at, record.what) }
}

extension ResetRecord {
  fileprivate var text: String {
    printable("  reset by an operator: \(what.joined(separator: ", "))") + "\n    at \(Timestamp.text(at))"
  }
}

extension HistoryEntry {
  fileprivate func text(_ status: StoreStatus) -> String {
    var mark = status.adopted?.revision == state.revision ? "* " : "  "
    mark += state.shown
    var lines = [mark, "    adopted \(Timestamp.text(state.at)) from \(state.source)"]
    if !state.origin.description.isEmpty { lines.append("    \(state.origin)") }
    if !state.signers.isEmpty {
      lines.append("    signed by \(state.signers.map(\.description).joined(separator: ", "))")
    }
    if outcome != .adopted {
      lines.append("    \(outcome) \(Timestamp.text(at))\(reason.map { ": \($0)" } ?? "")")
    } else {
      lines.append("    not applied yet")
    }
    return lines.map { printable($0) }.joined(separator: "\n")
  }
}
