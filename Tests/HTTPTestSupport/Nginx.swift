import Foundation
import Glibc
import Synchronization

/// nginx, with servers of a test's own choosing on ports of its own.
package final class Nginx: Sendable {
  /// Where its configuration and logs are.
  package let directory = TemporaryDirectory()
  package let ports: [Int]
  private let servers: @Sendable (Nginx) throws -> String
  private let process = Mutex<ChildProcess?>(nil)

  /// Starts nginx, off the cooperative pool.
  ///
  /// - Parameters:
  ///   - count: how many ports it needs.
  ///   - servers: what belongs into its `http` block.
  package static func start(ports count: Int, servers: @escaping @Sendable (Nginx) throws -> String) async throws
    -> Nginx
  {
    try await onThread {
      // Another program may take a port before nginx does.
      for _ in 0..<4 { if let nginx = try? Nginx(count, servers) { return nginx } }
      return try Nginx(count, servers)
    }
  }

  private init(_ count: Int, _ servers: @escaping @Sendable (Nginx) throws -> String) throws {
    ports = Self.freePorts(count)
    self.servers = servers
    try launch()
  }

  /// Starts it again after ``stop()``, on the same ports, with what belongs into its configuration now.
  package func start() async throws {
    try await onThread { [self] in
      // A connection of somebody else's may have been given one of the ports for the moment.
      for _ in 0..<4 where (try? launch()) != nil { return }
      try launch()
    }
  }

  /// Ends it, and returns when its ports are closed.
  package func stop() async throws { try await onThread { [self] in process.withLock { $0 = nil } } }

  /// Makes it stop answering, without closing anything.
  package func freeze() { signal(SIGSTOP) }

  /// Ends ``freeze()``.
  package func thaw() { signal(SIGCONT) }

  private func signal(_ number: Int32) {
    let text = directory.read("pid")
    if let identifier = pid_t(text.filter(\.isNumber)) { kill(identifier, number) }
  }

  private func launch() throws {
    for name in ["error.log", "pid"] { try? FileManager.default.removeItem(atPath: directory.file(name)) }
    let file = try directory.write(
      "nginx.conf",
      """
      daemon off;
      # One process, which can be stopped by its number.
      master_process off;
      pid \(directory.file("pid"));
      error_log \(directory.file("error.log"));
      \(getuid() == 0 ? "user root;" : "")
      events { worker_connections 512; }
      http {
        # For servers that are asked what was asked of them.
        log_format lines '$connection $request_method $status $bytes_sent $request_uri';
        access_log off;
        default_type application/octet-stream;
        types { application/json json; }
        gzip on; gzip_types application/json; gzip_min_length 100;
        client_body_temp_path \(directory.path); proxy_temp_path \(directory.path);
        fastcgi_temp_path \(directory.path); uwsgi_temp_path \(directory.path); scgi_temp_path \(directory.path);
        keepalive_requests 100000;
      \(try servers(self))}
      """)
    // The shell ends nginx when it is stopped itself, or when its standard input ends with the test process.
    let end = "kill $pid 2>&-; kill -CONT $pid 2>&-; wait $pid"
    let started = try ChildProcess([
      "sh", "-c",
      "PATH=$PATH:/usr/sbin nginx -c \(file) -e \(directory.file("error.log")) </dev/null & pid=$!; trap '\(end)' TERM; read line; \(end)",
    ])
    guard waitUntilListening() else {
      throw ChildProcess.Failure(description: "nginx did not start: \(directory.read("error.log"))")
    }
    process.withLock { $0 = started }
  }
}

extension Nginx {
  /// Ports that nothing listens on.
  package static func freePorts(_ count: Int) -> [Int] {
    let sockets = (0..<count).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
    defer { for socket in sockets { close(socket) } }
    return sockets.map { socket in
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      return withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(socket, $0, length)
          getsockname(socket, $0, &length)
        }
        return Int(UInt16(bigEndian: $0.pointee.sin_port))
      }
    }
  }

  /// Waits, for at most 20 seconds, until nginx has written its number, which it does when it listens, or says that it
  /// cannot. That somebody answers at a port would not tell who does.
  private func waitUntilListening() -> Bool {
    let end = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < end, !directory.read("error.log").contains("[emerg] ") {
      if directory.read("pid").contains("\n") { return true }
      usleep(5000)
    }
    return false
  }
}
