import ArgumentParser
import DesiredStateSupport

extension ConfigurationFile {
  /// Where to look: the one setting of `follow` that is an argument and no option.
  static let source = "source"
  /// Options that make no sense in a file.
  private static let excluded: Set<String> = ["help", "version", "config"]
  /// The options of `follow` that a file may set.
  static let known = CommandOptions(of: FollowCommand.self).options.filter { !excluded.contains($0.key) }

  /// What `follow` is to be run with: the settings of the file, and those of the command line before them.
  struct Arguments {
    var options: [String] = []
    var sources: [String] = []

    var all: [String] { options + (sources.isEmpty ? [] : ["--"] + sources) }
  }

  /// Everything that is wrong in the file, without a look at what its settings name; and `follow` as it would be run.
  ///
  /// - Parameter others: the arguments of the command line, which count before those of the file.
  func follow(with others: [String] = []) -> (command: FollowCommand?, problems: [Problem]) {
    let known = Self.known
    let given = Given(others, known)
    var problems = problems
    var left: [Setting] = []
    var lines: [String: Int] = [:]
    for setting in settings {
      if let fault = fault(of: setting, known, before: lines[setting.name]) {
        problems.append(Problem(file: path, line: setting.line, setting: setting.name, message: fault))
      } else {
        lines[setting.name] = lines[setting.name] ?? setting.line
        let isOverridden = setting.name == Self.source ? given.hasSources : given.options.contains(setting.name)
        if !isOverridden { left.append(setting) }
      }
    }
    let hadFaults = !problems.isEmpty
    // Each error names one setting. Without that one, the next error shows.
    var removed: [Setting] = []
    while true {
      do {
        let command = try FollowCommand.parse(Self.arguments(left, known, others).all)
        return (problems.isEmpty ? command : nil, problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) })
      } catch {
        let message = Self.inSettings(FollowCommand.message(for: error))
        guard let culprit = Self.culprit(of: message.flags, in: left) else {
          // What is missing may be what stands on a line with a fault.
          if removed.isEmpty, !hadFaults || !message.isOfMissing {
            problems.append(Problem(file: path, message: message.text))
          }
          return (nil, problems.sorted { ($0.line ?? 0) < ($1.line ?? 0) })
        }
        removed.append(culprit)
        left.removeAll { $0.line == culprit.line }
        problems.append(Problem(file: path, line: culprit.line, setting: culprit.name, message: message.text))
      }
    }
  }

  private func fault(of setting: Setting, _ known: [String: CommandOptions.Option], before: Int?) -> String? {
    if setting.name == Self.source {
      return setting.value?.isEmpty ?? true ? "the setting 'source' needs a value" : nil
    }
    guard let option = known[setting.name] else {
      if setting.name == "config" { return "a file of settings names no other" }
      let near = Self.nearest(setting.name, Array(known.keys) + [Self.source])
      return "there is no setting \(quoted(setting.name))\(near.map { "; is it '\($0)'?" } ?? "")"
    }
    if let before, !option.isRepeatable { return "'\(setting.name)' is set on line \(before) already" }
    if option.takesValue { return setting.value?.isEmpty ?? true ? "the setting '\(setting.name)' needs a value" : nil }
    return Self.truth(of: setting.value) == nil
      ? "'\(setting.name)' is set or not: true or false, and not \(quoted(setting.value ?? ""))" : nil
  }

  private static func truth(of value: String?) -> Bool? {
    switch value?.lowercased() {
    case nil, "true", "yes", "on", "1": true
    case "false", "no", "off", "0": false
    default: nil
    }
  }

  private static func arguments(
    _ settings: [Setting], _ known: [String: CommandOptions.Option], _ others: [String]
  ) -> Arguments {
    var arguments = Arguments()
    for setting in settings {
      if setting.name == source {
        arguments.sources.append(setting.value ?? "")
      } else if known[setting.name]?.takesValue == true {
        arguments.options.append("--\(setting.name)=\(setting.value ?? "")")
      } else if truth(of: setting.value) == true {
        arguments.options.append("--\(setting.name)")
      }
    }
    arguments.options += others
    return arguments
  }

  /// The setting that a message is about: the first flag in it that the file has.
  private static func culprit(of flags: [String], in settings: [Setting]) -> Setting? {
    for flag in flags { if let setting = settings.last(where: { $0.name == flag }) { return setting } }
    return nil
  }

  /// A message about flags as one about settings: "'interval' must be more than 0."
  static func inSettings(_ message: String) -> (text: String, flags: [String], isOfMissing: Bool) {
    var text = ""
    var flags: [String] = []
    var rest = message[...]
    while let start = rest.firstRange(of: "--") {
      text += rest[..<start.lowerBound]
      let name = rest[start.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "." }
      // A full stop ends a sentence, and stands in one name.
      let option = known[String(name)] ?? (name.hasSuffix(".") ? known[String(name.dropLast())] : nil)
      if let option {
        flags.append(option.name)
        text += option.name
      } else {
        text += "--" + name
      }
      rest = rest[rest.index(start.upperBound, offsetBy: option?.name.count ?? name.count)...]
    }
    text += rest
    if text.hasPrefix("Error: ") { text.removeFirst("Error: ".count) }
    let isOfMissing = text.hasPrefix("Missing") || text.hasPrefix("choose what to trust")
    text.replace("Missing expected argument '<sources> ...'", with: "there is no setting 'source': where to look")
    text.replace("Missing expected argument 'store <store>'", with: "there is no setting 'store': where to keep states")
    return (text, flags, isOfMissing)
  }

  /// The known name that a mistyped one comes nearest to, if it is near.
  private static func nearest(_ name: String, _ known: [String]) -> String? {
    let plain = name.lowercased().replacing("_", with: "-")
    let found = known.map { ($0, distance(Array(plain.utf8), Array($0.utf8))) }.min { ($0.1, $0.0) < ($1.1, $1.0) }
    guard let found, found.1 <= (plain.utf8.count < 5 ? 1 : 2) else { return nil }
    return found.0
  }

  /// How many letters must be added, dropped or changed.
  private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in right.indices {
        let substituted = diagonal + (letter == right[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(substituted, row[column] + 1, diagonal + 1)
      }
    }
    return row[right.count]
  }

  /// What a command line sets.
  private struct Given {
    var options: Set<String> = []
    var hasSources = false

    init(_ arguments: [String], _ known: [String: CommandOptions.Option]) {
      var index = 0
      while index < arguments.count {
        let argument = arguments[index]
        index += 1
        if argument == "--" {
          hasSources = hasSources || index < arguments.count
          return
        }
        guard argument.hasPrefix("-"), argument.count > 1 else {
          hasSources = true
          continue
        }
        let parts = argument.drop { $0 == "-" }.split(separator: "=", maxSplits: 1)
        let name = parts.first.map(String.init) ?? ""
        options.insert(name)
        if known[name]?.takesValue == true, parts.count == 1 { index += 1 }
      }
    }
  }
}
