import ArgumentParser
import DesiredState
import DesiredStateSupport

struct DiffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Shows how two states differ, document by document.",
    discussion: """
      Between two states that a store keeps: by default from the applied one to the adopted one, or if they are the same, \
      from the one before. Exit status 0, whether they differ or not.
      """)

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Option(help: ArgumentHelp("The version to compare from.", valueName: "version")) var from: UInt64?
  @Option(help: ArgumentHelp("The version to compare to. (default: the adopted one)", valueName: "version"))
  var to: UInt64?
  @Flag(help: "Print one JSON object a line.") var json = false

  func run() async throws {
    try await reporting {
      let difference = try await StateDifference.read(store: store, from: from, to: to)
      for change in difference.changes { Output.line(json ? try JSON.line(change) : change.text) }
      if difference.changes.isEmpty, !json { Output.line("no document differs") }
    }
  }
}

extension StateDifference.Change {
  /// `+ press.yaml  sha256:…  812 bytes`
  fileprivate var text: String {
    let mark = change == .added ? "+" : change == .removed ? "-" : "~"
    var parts = ["\(mark) \(document)"]
    if let before, let after {
      parts.append("\(before) -> \(after)")
    } else if let digest = before ?? after {
      parts.append("\(digest)")
    }
    return printable(parts.joined(separator: "  "))
  }
}
