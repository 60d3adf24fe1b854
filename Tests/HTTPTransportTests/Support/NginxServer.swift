import Foundation
import Glibc

/// nginx with one server for each way of doing TLS, all serving the same directory.
final class NginxServer: Sendable {
  enum Site: String, CaseIterable {
    case plain, good, tls12, expired, future, untrusted, otherHost, mutual
  }

  let directory = TemporaryDirectory()
  private let ports: [Int]
  private let process: ChildProcess

  /// One for all tests of a process: it only serves files.
  static let shared = Task { try await start() }

  static func start() async throws -> NginxServer {
    let certificates = try await Certificates.shared.value
    return try await onThread {
      // Another program may take a port before nginx does.
      for _ in 0..<4 { if let server = try? NginxServer(certificates) { return server } }
      return try NginxServer(certificates)
    }
  }

  func url(_ site: Site, _ path: String, host: String = "localhost") -> String {
    "\(site == .plain ? "http" : "https")://\(host):\(port(site))\(path)"
  }

  func port(_ site: Site) -> Int { ports[Site.allCases.firstIndex(of: site) ?? 0] }

  private init(_ certificates: Certificates) throws {
    ports = Self.freePorts(Site.allCases.count)
    try FileManager.default.createDirectory(atPath: directory.file("www"), withIntermediateDirectories: true)
    try directory.write("www/small", "small file\n")
    try directory.write("www/text.json", String(repeating: "{\"some\": \"text\"}\n", count: 1000))
    // Sparse: takes no room on the disk.
    truncate(try directory.write("www/huge", ""), 1 << 30)
    truncate(try directory.write("www/large", ""), 64 << 20)
    var servers = ""
    for (site, port) in zip(Site.allCases, ports) {
      let name =
        switch site {
        case .expired, .future, .untrusted: site.rawValue
        case .otherHost: "other-host"
        default: "server"
        }
      servers += """
          server {
            listen 127.0.0.1:\(port)\(site == .plain ? "" : " ssl http2");
            root \(directory.file("www"));
            \(site == .plain ? "" : "ssl_certificate \(certificates.certificate(name)); ssl_certificate_key \(certificates.key(name));")
            ssl_protocols \(site == .tls12 ? "TLSv1.2" : "TLSv1.3");
            \(site == .mutual ? "ssl_verify_client on; ssl_client_certificate \(certificates.authority);" : "")
          }

        """
    }
    let file = try directory.write(
      "nginx.conf",
      """
      daemon off;
      worker_processes 1;
      pid \(directory.file("pid"));
      error_log \(directory.file("error.log"));
      \(getuid() == 0 ? "user root;" : "")
      events { worker_connections 512; }
      http {
        access_log off;
        default_type application/octet-stream;
        types { application/json json; }
        gzip on; gzip_types application/json; gzip_min_length 100;
        client_body_temp_path \(directory.path); proxy_temp_path \(directory.path);
        fastcgi_temp_path \(directory.path); uwsgi_temp_path \(directory.path); scgi_temp_path \(directory.path);
        keepalive_requests 100000;
      \(servers)}
      """)
    // The shell ends nginx when it is stopped itself, or when its standard input ends with the test process.
    process = try ChildProcess([
      "sh", "-c",
      "PATH=$PATH:/usr/sbin nginx -c \(file) -e \(directory.file("error.log")) </dev/null & pid=$!; trap 'kill $pid' TERM; read line; kill $pid",
    ])
    for port in ports {
      guard waitUntilListening(port) else {
        throw ChildProcess.Failure(description: "nginx did not start: \(directory.read("error.log"))")
      }
    }
  }

  /// Ports that nothing listens on.
  static func freePorts(_ count: Int) -> [Int] {
    let sockets = (0..<count).map { _ in socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
    defer { for socket in sockets { close(socket) } }
    return sockets.map { socket in
      var address = Self.loopback(0)
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

  private static func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    return address
  }

  /// Connects until somebody answers, for at most 20 seconds, or until nginx says that nobody will.
  private func waitUntilListening(_ port: Int) -> Bool {
    var address = Self.loopback(port)
    let end = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < end, !directory.read("error.log").contains("[emerg] ") {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      let code = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if code == 0 { return true }
      usleep(5000)
    }
    return false
  }
}
