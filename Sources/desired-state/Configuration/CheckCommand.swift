import ArgumentParser
import DesiredStateSupport

struct CheckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Says what is wrong in a file of settings, before a device does.",
    discussion: """
      Reads FILE as 'follow --config FILE' does, and everything that it names: keys, certificates, the addresses of sources, \
      times, commands. Nothing is fetched, written or run. Exit status 0 if nothing is wrong, 64 if something is.
      """)

  @Option(help: ArgumentHelp("The file of settings.", valueName: "file")) var config: String
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws {
    var problems: [ConfigurationFile.Problem] = []
    var command: FollowCommand?
    do throws(ConfigurationFile.Problem) {
      let file = try ConfigurationFile(reading: config)
      (command, problems) = file.follow()
      problems += await ConfigurationCheck(file, command).problems()
      problems.sort { ($0.line ?? 0) < ($1.line ?? 0) }
    } catch {
      problems = [error]
    }
    if json {
      Output.line(
        try JSON.line(Report(file: config, ok: problems.isEmpty, problems: problems.map(Report.Problem.init))))
    } else if let command, problems.isEmpty {
      Output.line(
        printable(
          "\(config) is good: device \(command.agent.deviceName) follows \(command.sources.joined(separator: ", ")) into "
            + command.store))
    } else {
      for problem in problems { Output.line(printable("\(problem)")) }
    }
    if !problems.isEmpty { throw ExitCode.validationFailure }
  }

  private struct Report: Encodable {
    struct Problem: Encodable {
      var line: Int?
      var setting: String?
      var message: String

      init(_ problem: ConfigurationFile.Problem) {
        (line, setting, message) = (problem.line, problem.setting, printable(problem.message))
      }
    }
    var file: String
    var ok: Bool
    var problems: [Problem]
  }
}
