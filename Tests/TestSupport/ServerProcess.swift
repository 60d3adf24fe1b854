import Foundation
import Glibc
import Synchronization

/// A program that serves the tests. It is ended by its own process id when this is let go of, and when the test process
/// dies.
package final class ServerProcess: Sendable {
  private struct Running {
    /// The shell beside the program, which outlives it.
    let shell: ChildProcess
    let identifier: pid_t
  }
  private let arguments: [String]
  private let endpoints: [Endpoint]
  private let output: String
  private let running = Mutex<Running?>(nil)

  /// - Parameters:
  ///   - arguments: the program, which does not go to the background, and its arguments.
  ///   - endpoints: where it listens when it is ready. No other server may listen there: see ``Endpoint/reservedPort()``.
  ///   - output: the file that its output is added to.
  package init(_ arguments: [String], listeningAt endpoints: [Endpoint], output: String) {
    self.arguments = arguments
    self.endpoints = endpoints
    self.output = output
  }

  /// Starts it, and returns when it listens.
  package func start() async throws {
    try await onThread { [self] in try launch() }
    do {
      try await until("\(arguments[0]) listens") { endpoints.allSatisfy(\.isServed) }
    } catch {
      throw failure()
    }
  }

  /// Ends it, and returns when it is gone.
  package func stop() async throws { try await onThread { [self] in running.withLock { $0 = nil } } }

  /// Makes it do nothing, while the kernel still takes connections for it.
  package func freeze() async throws {
    if let identifier = running.withLock({ $0?.identifier }) { try await stopped(identifier) }
  }

  /// Ends ``freeze()``.
  package func thaw() { running.withLock { if let running = $0 { kill(running.identifier, SIGCONT) } } }

  private func launch() throws {
    // Ended when the shell itself is told to, and when its standard input ends with the test process.
    let script = """
      end() { kill $pid; kill -CONT $pid; wait $pid; } 2>/dev/null
      "$@" </dev/null >>"$0" 2>&1 & pid=$!
      trap end TERM
      echo $pid
      read line
      end
      """
    let shell = try ChildProcess(["env", "PATH=\(Self.path)", "sh", "-c", script, output] + arguments)
    guard let identifier = shell.readLine().flatMap({ pid_t($0) }) else { throw failure() }
    running.withLock { $0 = Running(shell: shell, identifier: identifier) }
  }

  private static var path: String { "/usr/sbin:" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin") }

  private func failure() -> ChildProcess.Failure {
    let words = (try? String(contentsOfFile: output, encoding: .utf8)) ?? ""
    return ChildProcess.Failure(description: "\(arguments[0]) did not start: \(words)")
  }
}
