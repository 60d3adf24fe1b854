import ArgumentParser
import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// The common part of commands that change a store: they do it themselves, or leave it for the agent that has it.
struct StoreChange {
  let store: String
  let isJSON: Bool

  func perform(_ request: StoreRequest, _ event: String) async throws {
    try await reporting {
      let line: (String, String)
      switch try await request.perform(onStore: store, at: Date()) {
      case .done(let words): line = ("done", words)
      case .left: line = ("requested", "an agent is at work on \(store); it does this at once, or at its next poll")
      }
      struct Line: Encodable {
        var event: String
        var state: String
        var reason: String
      }
      Output.line(
        isJSON ? try JSON.line(Line(event: event, state: line.0, reason: line.1)) : printable("\(line.0): \(line.1)"))
    }
  }
}

struct RollbackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback", abstract: "Goes back to a state that was adopted before and is kept.",
    discussion: """
      The device stays there until a newer version is published, or 'resume'. What it was on is not adopted again, and \
      nothing older than it is adopted from a source: the version floor stays. A running 'follow' applies it; without \
      one, the next does.
      """)

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Option(help: ArgumentHelp("The version to go back to. (default: the one applied before)", valueName: "version"))
  var to: UInt64?
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws {
    try await StoreChange(store: store, isJSON: json).perform(.rollBack(version: to), "rolled-back")
  }
}

struct ResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Ends a rollback: the device goes to the state that it was rolled back from.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws { try await StoreChange(store: store, isJSON: json).perform(.resume, "resumed") }
}

struct ApproveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "approve", abstract: "Lets the adopted state be applied, where 'follow --hold' waits for it.")

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Flag(help: "Print one JSON object.") var json = false

  func run() async throws { try await StoreChange(store: store, isJSON: json).perform(.approve, "approved") }
}

struct ResetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reset", abstract: "The way out of a signed mistake: forgets what holds a device back.",
    discussion: """
      Recorded in the store, and acknowledged to the orchestrator. Without the floor, an old state that was signed once \
      can be adopted again.
      """)

  @Option(help: "The directory that 'follow' keeps.") var store: String
  @Option(help: ArgumentHelp("The lowest version to adopt from now on; 0 for any.", valueName: "version"))
  var floor: UInt64?
  @Flag(help: "Forget the newest signed time: expiry is judged by the device's clock alone.") var clock = false
  @Flag(help: "Forget the refusals, and how long sources are left alone.") var refusals = false
  @Option(
    help: ArgumentHelp(
      "Forget all trust updates: the keys in this file count again, which 'follow' must then be given as --trust.",
      valueName: "allowed-signers"))
  var trust: String?
  @Flag(help: "Print one JSON object.") var json = false

  func validate() throws {
    guard floor != nil || clock || refusals || trust != nil else {
      throw ValidationError("say what to reset: --floor VERSION, --clock, --refusals or --trust ALLOWED_SIGNERS.")
    }
  }

  func run() async throws {
    if let trust {
      // A device whose trust is forgotten and whose file cannot be read would follow nothing at all.
      do {
        _ = try await AllowedSigners.read(trust)
      } catch {
        throw ValidationError("--trust: \(error)")
      }
    }
    let reset = StateStore.Reset(floor: floor, clock: clock, refusals: refusals, trust: trust != nil)
    try await StoreChange(store: store, isJSON: json).perform(.reset(reset), "reset")
  }
}
