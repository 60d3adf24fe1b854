import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials

struct HistoryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Lists the states that this device adopted and keeps: from where, by whose signature, and how it went.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object a line, newest state first.") var json = false

  func run() async throws {
    try await reporting {
      let status = try await StoreStatus.read(store)
      for entry in status.history {
        Output.line(json ? try JSON.line(HistoryLine(entry, status)) : entry.text(status))
      }
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
