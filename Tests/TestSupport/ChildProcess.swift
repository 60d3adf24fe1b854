import Foundation
package import Glibc

/// A program that runs beside the tests. Stopped by its own process id when let go of, and by the end
/// of its standard input when the test process dies.
package final class ChildProcess: Sendable {
  package let identifier: pid_t
  private let input: Int32
  private let output: Int32

  package struct Failure: Error, CustomStringConvertible {
    package var description: String
    package init(description: String) { self.description = description }
  }

  /// Starts a program found in PATH, without the variables that name files of trusted certificates.
  package init(_ arguments: [String]) throws {
    var input: [Int32] = [-1, -1]
    var output: [Int32] = [-1, -1]
    // Socket pairs, as they can be made closed on exec at once: another child must not hold this one's
    // standard input open.
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, type, 0, &input) == 0, socketpair(AF_UNIX, type, 0, &output) == 0 else {
      throw Failure(description: "socketpair")
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input[0], 0)
    posix_spawn_file_actions_adddup2(&actions, output[1], 1)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // A program inherits which signals are blocked, and threads like those of a test block nearly all.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let argv = arguments.map { strdup($0) } + [nil]
    let envp = Self.environment.map { strdup($0) } + [nil]
    defer { for text in argv + envp { free(text) } }
    var identifier: pid_t = 0
    let code = posix_spawnp(&identifier, arguments[0], &actions, &attributes, argv, envp)
    close(input[0])
    close(output[1])
    guard code == 0 else { throw Failure(description: "\(arguments[0]) cannot be started: error \(code)") }
    self.identifier = identifier
    self.input = input[1]
    self.output = output[0]
  }

  deinit {
    close(input)
    close(output)
    kill(identifier, SIGTERM)
    var status: Int32 = 0
    waitpid(identifier, &status, 0)
  }

  /// The next line of its standard output, without the line end; nil at the end.
  package func readLine() -> String? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while read(output, &byte, 1) == 1 {
      if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
      line.append(byte)
    }
    return line.isEmpty ? nil : String(decoding: line, as: UTF8.self)
  }

  /// Runs a program to its end and returns what it printed.
  @discardableResult
  package static func run(_ arguments: [String]) throws -> String {
    let child = try ChildProcess(arguments)
    var lines: [String] = []
    while let line = child.readLine() { lines.append(line) }
    var status: Int32 = 0
    // Waits without reaping, which is left to deinit.
    var information = siginfo_t()
    waitid(P_PID, id_t(child.identifier), &information, WEXITED | WNOWAIT)
    status = information._sifields._sigchld.si_status
    guard status == 0 else { throw Failure(description: "\(arguments.joined(separator: " ")) ended with \(status)") }
    return lines.joined(separator: "\n")
  }

  private static let environment: [String] = {
    let unwanted = ["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSLKEYLOGFILE"]
    var result: [String] = []
    var entry = environ
    while let text = entry.pointee {
      let line = String(cString: text)
      if !unwanted.contains(where: { line.hasPrefix($0 + "=") }) { result.append(line) }
      entry += 1
    }
    return result
  }()
}

/// Stops a process (SIGSTOP), and returns when none of its threads runs: the signal alone leaves it time for an answer.
package func stopped(_ identifier: pid_t) async throws {
  kill(identifier, SIGSTOP)
  try await until("process \(identifier) is stopped") {
    let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(identifier)/task")
    return threads.allSatisfy { thread in
      // The state follows the name, which is in parentheses: see proc_pid_stat(5).
      guard let line = try? String(contentsOfFile: "/proc/\(identifier)/task/\(thread)/stat", encoding: .utf8)
      else { return true }
      return line.drop { $0 != ")" }.dropFirst(2).first == "T"
    }
  }
}
