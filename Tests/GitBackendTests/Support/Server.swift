import Foundation
import Glibc
import Synchronization

/// A program that serves the tests: started when it is needed, stopped by its own process id, also when the test process
/// dies (prctl(2), PR_SET_PDEATHSIG, by setpriv(1)).
final class Server: Sendable {
  private let arguments: [String]
  private let port: Int?
  private let log: String
  private let process = Mutex<Process?>(nil)

  /// - Parameter port: where it listens when it is ready; nil if nobody need wait for it.
  init(_ arguments: [String], port: Int?, log: String) {
    self.arguments = arguments
    self.port = port
    self.log = log
  }

  deinit { stop() }

  func start() async throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = ["--pdeathsig", "KILL"] + arguments
    process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"]
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    let errors = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = errors
    process.standardError = errors
    try process.run()
    self.process.withLock { $0 = process }
    guard let port else { return }
    let end = ContinuousClock.now + .seconds(20)
    while !Self.answers(port) {
      guard ContinuousClock.now < end, process.isRunning else {
        throw ServerFailure(description: "\(arguments[0]) did not start: \((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  func stop() {
    process.withLock { process in
      guard let running = process else { return }
      // Foundation gives each process a group of its own, which holds what it started as well.
      kill(-running.processIdentifier, SIGKILL)
      while running.isRunning { usleep(1000) }
      process = nil
    }
  }

  /// Makes it do nothing, while the kernel still takes connections for it.
  func pause() { process.withLock { if let process = $0 { kill(process.processIdentifier, SIGSTOP) } } }
  func proceed() { process.withLock { if let process = $0 { kill(process.processIdentifier, SIGCONT) } } }

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
