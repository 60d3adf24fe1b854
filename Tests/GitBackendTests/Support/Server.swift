import Foundation
import Glibc
import Subprocess
import Synchronization

/// A program that serves the tests. A shell beside it ends it when its own standard input ends, which it does also when
/// the test process dies.
final class Server: Sendable {
  private struct Running {
    let identifier: pid_t
    let task: Task<Void, Never>
    let end: AsyncStream<Void>.Continuation
  }
  private let arguments: [String]
  private let port: Int?
  private let log: String
  private let running = Mutex<Running?>(nil)

  /// - Parameter port: where it listens when it is ready; nil if nobody need wait for it.
  init(_ arguments: [String], port: Int?, log: String) {
    self.arguments = arguments
    self.port = port
    self.log = log
  }

  deinit { running.withLock { $0?.end.finish() } }

  func start() async throws {
    let script = """
      "$@" </dev/null >>"$0" 2>&1 & pid=$!
      echo $pid
      read line
      kill -CONT $pid; kill $pid; wait $pid
      """
    let (ends, end) = AsyncStream<Void>.makeStream()
    let (identifiers, identifier) = AsyncStream<pid_t>.makeStream()
    let command = Arguments(["-c", script, log] + arguments)
    let task = Task {
      _ = try? await Subprocess.run(
        .name("sh"), arguments: command,
        environment: .custom(["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"]),
        input: .inputWriter, output: .sequence, error: .discarded
      ) { execution in
        var output = execution.standardOutput.makeAsyncIterator()
        let line = try await output.next()?.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } ?? ""
        identifier.yield(pid_t(line.prefix { $0 != "\n" }) ?? 0)
        for await _ in ends {}
        try await execution.standardInputWriter.finish()
      }
      identifier.finish()
    }
    var iterator = identifiers.makeAsyncIterator()
    guard let process = await iterator.next(), process > 0 else {
      throw ServerFailure(description: "\(arguments[0]) did not start")
    }
    running.withLock { $0 = Running(identifier: process, task: task, end: end) }
    guard let port else { return }
    let limit = ContinuousClock.now + .seconds(20)
    while !Self.answers(port) {
      guard ContinuousClock.now < limit, kill(process, 0) == 0 else {
        let words = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        throw ServerFailure(description: "\(arguments[0]) did not start: \(words)")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  func stop() async {
    let running = running.withLock { running in
      defer { running = nil }
      return running
    }
    running?.end.finish()
    await running?.task.value
  }

  /// Makes it do nothing, while the kernel still takes connections for it.
  func pause() { running.withLock { if let running = $0 { kill(running.identifier, SIGSTOP) } } }
  func proceed() { running.withLock { if let running = $0 { kill(running.identifier, SIGCONT) } } }

  /// A port that nothing listens on.
  static func freePort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length)
        getsockname(descriptor, $0, &length)
      }
    }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  private static func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    return address
  }

  private static func answers(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = loopback(port)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}

struct ServerFailure: Error, CustomStringConvertible {
  let description: String
}
