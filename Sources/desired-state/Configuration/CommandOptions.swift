import ArgumentParser
import FoundationEssentials

/// The options of a command, as its own definitions say: a setting of a file of settings, and a word in a completion, are
/// written nowhere else.
struct CommandOptions {
  struct Option {
    var name: String
    /// What stands for the value in the help: `file`, `command`.
    var valueName: String
    var takesValue: Bool
    var isRepeatable: Bool
  }

  /// By name, without the dashes.
  let options: [String: Option]

  init(of command: any ParsableCommand.Type) {
    let info: ToolInfo
    do {
      info = try JSONDecoder().decode(ToolInfo.self, from: Data(command._dumpHelp().utf8))
    } catch {
      // Both sides of it were built together.
      preconditionFailure("the argument parser describes itself in an unknown form: \(error)")
    }
    var options: [String: Option] = [:]
    for argument in info.command.arguments ?? [] {
      guard argument.kind != "positional", let name = argument.names?.first(where: { $0.kind == "long" })?.name else {
        continue
      }
      options[name] = Option(
        name: name, valueName: argument.valueName ?? name, takesValue: argument.kind == "option",
        isRepeatable: argument.isRepeating)
    }
    self.options = options
  }

  /// What the parser says of a command (its tool info, version 0), as far as it is needed here.
  private struct ToolInfo: Decodable {
    struct Command: Decodable { var arguments: [Argument]? }
    struct Argument: Decodable {
      struct Name: Decodable {
        var kind: String
        var name: String
      }
      var kind: String
      var isRepeating: Bool
      var names: [Name]?
      var valueName: String?
    }
    var command: Command
  }
}
