import Foundation
import Glibc
package import TestSupport

/// nginx, with servers of a test's own choosing on ports of its own.
package final class Nginx: Sendable {
  /// Where its configuration and logs are.
  package let directory = TemporaryDirectory()
  package let ports: [Int]
  private let servers: @Sendable (Nginx) throws -> String
  private let process: ServerProcess

  /// Starts nginx.
  ///
  /// - Parameters:
  ///   - count: how many ports it needs.
  ///   - servers: what belongs into its `http` block.
  package static func start(ports count: Int, servers: @escaping @Sendable (Nginx) throws -> String) async throws
    -> Nginx
  {
    let nginx = Nginx(count, servers)
    try await nginx.start()
    return nginx
  }

  private init(_ count: Int, _ servers: @escaping @Sendable (Nginx) throws -> String) {
    ports = (0..<count).map { _ in Endpoint.reservedPort() }
    self.servers = servers
    process = ServerProcess(
      ["nginx", "-c", directory["nginx.conf"], "-e", "stderr"], listeningAt: ports.map { .port($0) },
      output: directory["output"])
  }

  /// Starts it again after ``stop()``, on the same ports, with what belongs into its configuration now.
  package func start() async throws {
    try directory.write(
      "nginx.conf",
      """
      daemon off;
      # One process, which can be stopped by its number.
      master_process off;
      pid \(directory["pid"]);
      \(getuid() == 0 ? "user root;" : "")
      events { worker_connections 512; }
      http {
        # For servers that are asked for their requests.
        log_format lines '$connection $request_method $status $bytes_sent $request_length $request_uri';
        access_log off;
        default_type application/octet-stream;
        types { application/json json; }
        gzip on; gzip_types application/json; gzip_min_length 100;
        client_body_temp_path \(directory.path); proxy_temp_path \(directory.path);
        fastcgi_temp_path \(directory.path); uwsgi_temp_path \(directory.path); scgi_temp_path \(directory.path);
        keepalive_requests 100000;
      \(try servers(self))}
      """)
    try await process.start()
  }

  /// Ends it, and returns when its ports are closed.
  package func stop() async throws { try await process.stop() }

  /// Makes it stop answering, without closing anything.
  package func freeze() async throws { try await process.freeze() }

  /// Ends ``freeze()``.
  package func thaw() { process.thaw() }

  /// A request that it has answered, as the log format `lines` has it.
  package struct Line: Sendable {
    package var connection: Int
    package var method: String
    package var status: Int
    /// Bytes of the answer, and of the request.
    package var sent: UInt64
    package var received: UInt64
    /// With the query.
    package var path: String
  }

  /// Every request that it has answered, if its server notes them in the file `access.log` of its directory.
  ///
  /// It notes a request when it has sent the answer, which its client may have before: so it is asked once more, and what
  /// comes before that in the file is all.
  ///
  /// - Parameter port: one of a server that notes them; nil: its first.
  package func requests(at port: Int? = nil) async throws -> [Line] {
    let mark = "/mark-\(UUID().uuidString)"
    // Where it speaks TLS it answers 400, and notes it all the same.
    await Endpoint.port(port ?? ports[0]).say("GET \(mark) HTTP/1.0\r\n\r\n")
    try await until("nginx has noted the request") { log.contains { $0.path == mark } }
    return log.filter { !$0.path.hasPrefix("/mark-") }
  }

  private var log: [Line] {
    directory.read("access.log").split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ")
      guard parts.count == 6, let connection = Int(parts[0]), let status = Int(parts[2]), let sent = UInt64(parts[3]),
        let received = UInt64(parts[4])
      else { return nil }
      return Line(
        connection: connection, method: String(parts[1]), status: status, sent: sent, received: received,
        path: String(parts[5]))
    }
  }
}
