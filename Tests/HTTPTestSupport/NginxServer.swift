import Foundation
import Glibc
import TestSupport

/// nginx with one server for each way of doing TLS, all serving the same directory.
package final class NginxServer: Sendable {
  package enum Site: String, CaseIterable, Sendable {
    case plain, good, tls12, expired, future, untrusted, otherHost, mutual
  }

  private let nginx: Nginx

  /// One for all tests of a process: it only serves files.
  package static let shared = Task { try await start() }

  package static func start() async throws -> NginxServer {
    let certificates = try await Certificates.shared.value
    let root = TemporaryDirectory()
    try root.write("small", "small file\n")
    try root.write("text.json", String(repeating: "{\"some\": \"text\"}\n", count: 1000))
    // Sparse: takes no room on the disk.
    truncate(try root.write("huge", ""), 1 << 30)
    truncate(try root.write("large", ""), 64 << 20)
    return NginxServer(
      try await Nginx.start(ports: Site.allCases.count) { nginx in
        zip(Site.allCases, nginx.ports).map { site, port in
          server(site, port: port, certificates, "root \(root.path);")
        }.joined()
      })
  }

  private init(_ nginx: Nginx) { self.nginx = nginx }

  /// A server that does TLS in one of the ways.
  package static func server(_ site: Site, port: Int, _ certificates: Certificates, _ directives: String) -> String {
    let name =
      switch site {
      case .expired, .future, .untrusted: site.rawValue
      case .otherHost: "other-host"
      default: "server"
      }
    return """
        server {
          listen 127.0.0.1:\(port)\(site == .plain ? "" : " ssl http2");
          \(site == .plain ? "" : "ssl_certificate \(certificates.certificate(name)); ssl_certificate_key \(certificates.key(name));")
          ssl_protocols \(site == .tls12 ? "TLSv1.2" : "TLSv1.3");
          \(site == .mutual ? "ssl_verify_client on; ssl_client_certificate \(certificates.authority);" : "")
          \(directives)
        }

      """
  }

  package func url(_ site: Site, _ path: String, host: String = "localhost") -> String {
    "\(site == .plain ? "http" : "https")://\(host):\(port(site))\(path)"
  }

  package func port(_ site: Site) -> Int { nginx.ports[Site.allCases.firstIndex(of: site) ?? 0] }
}
