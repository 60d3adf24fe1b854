import DesiredStateSupport
import Glibc
import Subprocess
import SystemPackage

/// A command of the operator's, as the shell reads it. It has a process group of its own, a bounded time, and ends with
/// all that it started.
struct HookCommand: Sendable {
  /// What errors call it: "the apply command".
  let name: String
  private let text: String
  private let limit: Duration

  /// How long a command that is asked to end (SIGTERM) may take before it is killed.
  private static let grace = Duration.seconds(10)

  init(_ name: String, _ text: String, within limit: Duration) {
    self.name = name
    self.text = text
    self.limit = limit
  }

  /// Runs the command.
  ///
  /// - Parameters:
  ///   - input: what it reads from its standard input.
  ///   - environment: variables besides its own.
  ///   - line: given each line of its standard output. Its standard error is the program's own.
  /// - Throws: ``Failure`` if it does not end with status 0 in its time; `CancellationError`; what `line` throws.
  func run(
    input: [UInt8] = [], environment: [Environment.Key: String?] = [:],
    _ line: @escaping @Sendable (String) async throws -> Void
  ) async throws {
    let group = ProcessGroup()
    // The rest of its group, whatever it did to stay.
    defer { group.kill() }
    try await withThrowingTaskGroup(of: Void.self) { race in
      race.addTask {
        try await Task.sleep(for: limit)
        throw Failure("\(name) did not end within \(limit)")
      }
      race.addTask { try await run(input, environment, group, line) }
      _ = try await race.next()
      race.cancelAll()
    }
    try Task.checkCancellation()
  }

  private func run(
    _ input: [UInt8], _ environment: [Environment.Key: String?], _ group: ProcessGroup,
    _ line: @escaping @Sendable (String) async throws -> Void
  ) async throws {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [
      .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: Self.grace)
    ]
    // The outer shell sees the command's end, and asks whatever the command left running to end as well, which would
    // otherwise keep the standard output open. It waits on when it is asked to end itself: its child was asked, too.
    let script = "trap : TERM; sh -c \"$0\"; status=$?; trap '' TERM; kill -TERM 0; exit $status"
    // Not a pipe: a command need not read its input.
    let file = try OpenFile.inMemory(input, called: name)
    defer { withExtendedLifetime(file) {} }
    let result = try await Subprocess.run(
      .path("/bin/sh"), arguments: ["-c", script, text], environment: .inherit.updating(environment),
      platformOptions: options,
      input: .fileDescriptor(FileDescriptor(rawValue: file.descriptor), closeAfterSpawningProcess: false),
      output: .sequence, error: .currentStandardError
    ) { execution in
      group.leader = execution.processIdentifier.value
      for try await text in execution.standardOutput.strings() { try await line(text) }
    }
    switch result.terminationStatus {
    case .exited(0): break
    case .exited(let code): throw Failure("\(name) ended with status \(code)")
    case .signaled(let signal): throw Failure("\(name) was ended by signal \(signal)")
    }
  }

  /// The processes of one command.
  private final class ProcessGroup: Sendable {
    private let identifier = LockedValue<pid_t?>(nil)
    var leader: pid_t? {
      get { identifier.withLock { $0 } }
      set { identifier.withLock { $0 = newValue } }
    }

    func kill() { if let leader { Glibc.kill(-leader, SIGKILL) } }
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }
}
