import DesiredState
import DesiredStateSupport
import Subprocess

/// A command of the operator's, as the shell reads it. What it prints goes to standard error: standard output is for
/// events.
struct ShellCommand: Sendable {
  private let text: String

  init(_ text: String) { self.text = text }

  /// Runs the command, and throws if it does not end with status 0. Which state is in place it finds in its environment:
  /// `DESIRED_STATE_REVISION`, and `DESIRED_STATE_VERSION` where it has one.
  func check(_ applied: AppliedState) async throws {
    let result = try await Subprocess.run(
      .path("/bin/sh"), arguments: ["-c", text],
      environment: .inherit.updating([
        "DESIRED_STATE_REVISION": applied.revision.description,
        "DESIRED_STATE_VERSION": applied.version.map { "\($0)" } ?? "",
      ]),
      input: .none, output: .currentStandardError, error: .currentStandardError)
    guard result.terminationStatus.isSuccess else { throw Failure(status: result.terminationStatus) }
  }

  struct Failure: Error, CustomStringConvertible {
    let status: TerminationStatus

    var description: String {
      switch status {
      case .exited(let code): "the check ended with status \(code)"
      case .signaled(let signal): "the check was ended by signal \(signal)"
      }
    }
  }
}
