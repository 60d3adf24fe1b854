import ArgumentParser
import DesiredStateSupport

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Says what a code of an event, a receipt or 'status' means, and what to do about it.")

  @Argument(help: "The code: signature-missing. (default: all of them)") var code: String?
  @Flag(help: "Print one JSON object a line.") var json = false
  @Flag(help: "Print the page of all codes.") var markdown = false

  func validate() throws {
    guard !markdown || code == nil && !json else { throw ValidationError("--markdown stands alone.") }
  }

  func run() throws {
    guard !markdown else { return Output.line(String(Explanation.page.dropLast())) }
    let found = Explanation.all.filter { code == nil || $0.code == code }
    guard !found.isEmpty else {
      throw ValidationError("there is no code \(quoted(code ?? "")); 'desired-state explain' lists all.")
    }
    for explanation in found {
      Output.line(
        json
          ? try JSON.line(explanation)
          : "\(explanation.code): \(explanation.meaning)\n  \(explanation.action)")
    }
  }
}
