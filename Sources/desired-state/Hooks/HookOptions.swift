import ArgumentParser
import DesiredState
import DesiredStateSupport

/// Commands that `follow` runs.
struct HookOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      The command that puts each state to work. It reads the update as one JSON object from its standard input, reports \
      documents by lines on its standard output ('installed web', or a JSON object), and has failed if its status is not 0.
      """, valueName: "command"))
  var onApply: String?
  @Option(help: ArgumentHelp("How long that command may take.", valueName: "time"))
  var onApplyTimeout = TimeSpan(argument: "1h")!
  @Option(
    help: ArgumentHelp(
      "A command that is run for each event, one after another; it reads the event as JSON from its standard input.",
      valueName: "command"))
  var onEvent: String?
  @Option(
    help: ArgumentHelp(
      """
      Let an applied state prove itself for so long by --check; if it does not, the state before is applied again, and \
      it is not tried again until a newer one is published.
      """, valueName: "time"))
  var trial: TimeSpan?
  @Option(
    help: ArgumentHelp(
      "The command that checks whether what was applied works: status 0 if it does.", valueName: "command"))
  var check: String?

  func validate() throws {
    guard (trial == nil) == (check == nil) else { throw ValidationError("--trial and --check go together.") }
    guard trial.map({ $0.duration > .zero }) ?? true else { throw ValidationError("--trial must be more than 0.") }
    guard onApplyTimeout.duration > .zero else { throw ValidationError("--on-apply-timeout must be more than 0.") }
  }

  /// The trial, if one was asked for. The check finds the state's revision and version in its environment, and its
  /// standard output is the program's standard error.
  var reconcilerTrial: Reconciler.Trial? {
    guard let trial, let check else { return nil }
    let command = HookCommand("the check", check, within: max(trial.duration, .seconds(60)))
    return Reconciler.Trial(trial.duration) { applied in
      try await command.run(environment: [
        "DESIRED_STATE_REVISION": applied.revision.description,
        "DESIRED_STATE_VERSION": applied.version.map { "\($0)" } ?? "",
      ]) { Output.tell($0) }
    }
  }

  /// The apply command, if there is one.
  func applyHook(into directory: String?, device: String) -> ApplyHook? {
    onApply.map {
      ApplyHook(
        command: HookCommand("the apply command", $0, within: onApplyTimeout.duration), directory: directory,
        device: device)
    }
  }

  /// The event command, if there is one.
  var eventHook: EventHook? { onEvent.map { EventHook(HookCommand("the event command", $0, within: .seconds(60))) } }
}
