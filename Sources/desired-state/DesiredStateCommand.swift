import ArgumentParser

@main
struct DesiredStateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "desired-state",
    abstract: "Learns what this device should run, verifies it, and keeps it in place.",
    discussion: """
      Exit status of 'follow --once', 'fetch' and 'verify': 0 adopted or unchanged, 3 rejected, 4 unavailable, \
      5 nothing published, 64 wrong usage, 1 anything else.
      """,
    version: "0.1.0",
    subcommands: [
      FollowCommand.self, CheckCommand.self, FetchCommand.self, VerifyCommand.self, StatusCommand.self,
      HistoryCommand.self,
      DiffCommand.self, RollbackCommand.self, ResumeCommand.self, ApproveCommand.self, ResetCommand.self,
      AcknowledgeCommand.self, PublishCommand.self, SignCommand.self, TrustCommand.self, ReceiptsCommand.self,
      OnboardCommand.self,
      CapabilitiesCommand.self, ExplainCommand.self,
    ])

  static func main() async {
    do {
      guard let command = try ConfiguredFollow.command(for: Array(CommandLine.arguments.dropFirst())) else {
        return await main(nil)
      }
      try await command.run()
    } catch {
      exit(withError: error)
    }
  }
}

extension ExitCode {
  static let rejected = ExitCode(3)
  static let unavailable = ExitCode(4)
  static let absent = ExitCode(5)
}
