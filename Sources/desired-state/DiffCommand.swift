import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials

struct DiffCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Shows how two states differ, document by document.",
    usage: """
      desired-state diff --store DIR [--from VERSION] [--to VERSION] [--json]
             desired-state diff SOURCE [--store DIR] [--from VERSION] [--json] [the options of 'fetch']
      """,
    discussion: """
      Between two states that a store keeps: by default from the applied one to the adopted one, or if they are the same, \
      from the one before. With SOURCE, from the adopted state to the one published there, which is looked at once and \
      verified; without a store, from nothing. Exit status 0, whether they differ or not.
      """)

  @Option(help: "The directory that 'follow' keeps.") var store: String?
  @Option(help: ArgumentHelp("The version to compare from.", valueName: "version")) var from: UInt64?
  @Option(help: ArgumentHelp("The version to compare to. (default: the adopted one)", valueName: "version"))
  var to: UInt64?
  @Flag(help: "Print one JSON object a line.") var json = false
  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp("Where desired state is published, and the options of 'fetch'.", valueName: "source"))
  var rest: [String] = []

  func validate() throws {
    guard store != nil || !rest.isEmpty else { throw ValidationError("say what to compare: --store DIR, or a source.") }
    guard rest.isEmpty || to == nil else { throw ValidationError("--to goes with a store alone.") }
    guard store != nil || from == nil else { throw ValidationError("--from goes with --store.") }
  }

  func run() async throws {
    if !rest.isEmpty {
      var command = try SourceDiff.parse(rest)
      (command.store, command.from, command.json) = (store, from, json)
      return try await command.run()
    }
    try await reporting {
      Self.show(try await StateDifference.read(store: store ?? "", from: from, to: to), isJSON: json)
    }
  }

  static func show(_ difference: StateDifference, isJSON: Bool, isSilentIfNone: Bool = false) {
    for change in difference.changes {
      // Encoding a value of strings cannot fail.
      if isJSON, let line = try? JSON.line(change) { Output.line(line) } else { Output.line(change.text) }
    }
    if difference.changes.isEmpty, !isJSON, !isSilentIfNone { Output.line("no document differs") }
  }
}

/// `diff SOURCE`: what following a source would change.
private struct SourceDiff: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "diff")

  @Argument(help: "Where desired state is published.") var source: String
  @OptionGroup var trust: TrustOptions
  @OptionGroup var transport: TransportOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var agent: AgentOptions

  var store: String?
  var from: UInt64?
  var json = false

  enum CodingKeys: String, CodingKey { case source, trust, transport, limits, agent }

  func run() async throws {
    try await reporting {
      let before = try await documentsBefore()
      let fetch = SingleFetch(
        backend: try agent.backends(for: [source], over: transport)[0], output: Output(isJSON: json, isQuiet: true),
        trust: trust, agent: agent, limits: limits.limits)
      try await fetch.run { state in
        DiffCommand.show(StateDifference(from: before, to: state.manifest.documents), isJSON: json)
      }
    }
  }

  private func documentsBefore() async throws -> [DocumentReference] {
    guard let store else { return [] }
    return try await StateDifference.documents(ofStore: store, version: from)
  }
}

extension StateDifference.Change {
  /// `+ press.yaml  sha256:…`
  fileprivate var text: String {
    let mark = change == .added ? "+" : change == .removed ? "-" : "~"
    let digests = [before, after].compactMap { $0?.description }.joined(separator: " -> ")
    return printable("\(mark) \(document)  \(digests)")
  }
}
