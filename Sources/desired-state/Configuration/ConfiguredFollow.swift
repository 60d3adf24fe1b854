import ArgumentParser
import DesiredStateSupport

/// `follow --config FILE`, before the command is parsed.
enum ConfiguredFollow {
  /// The command to run instead of the one that the arguments spell; nil if they name no file of settings.
  ///
  /// - Throws: ExitCode, when it has said what is wrong in the file.
  static func command(for arguments: [String]) throws -> FollowCommand? {
    guard arguments.first == FollowCommand.configuration.commandName else { return nil }
    var others = Array(arguments.dropFirst())
    guard !others.contains(where: { ["-h", "--help", "--version"].contains($0) }) else { return nil }
    let end = others.firstIndex(of: "--") ?? others.endIndex
    let path: String
    if let index = others[..<end].firstIndex(of: "--config") {
      guard index + 1 < end else { return nil }
      path = others[index + 1]
      others.removeSubrange(index...index + 1)
    } else if let index = others[..<end].firstIndex(where: { $0.hasPrefix("--config=") }) {
      path = String(others[index].dropFirst("--config=".count))
      others.remove(at: index)
    } else {
      return nil
    }
    do throws(ConfigurationFile.Problem) {
      let file = try ConfigurationFile(reading: path)
      let (command, problems) = file.follow(with: others)
      if let command { return command }
      for problem in problems { Output.complain(problem) }
    } catch {
      Output.complain(error)
    }
    throw ExitCode.validationFailure
  }
}
