import Foundation
import Synchronization

/// A repository behind nginx and git's own http-backend: TLS 1.3 and nothing older, client certificates, and a token.
final class WebRoad: RoadUnderTest {
  let repository: OperatorRepository
  let port = Server.freePort()
  let folder = Folder()
  private let certificates: Certificates
  private let nginx: Server
  private let wrapper: Server
  private let token = "the-secret-token-of-press-42"

  /// - Parameters:
  ///   - speaksVersion2: whether the server is told which protocol the client would like.
  ///   - takesPushes: whether anybody may push.
  init(
    _ repository: OperatorRepository, speaksVersion2: Bool = true, takesPushes: Bool = true, backend: String? = nil
  ) async throws {
    self.repository = repository
    certificates = try await Certificates.shared.value
    try write(token + "\n", to: folder["token"])
    try await repository.git("config", "http.receivepack", takesPushes ? "true" : "false")
    let socket = folder["fcgi"]
    wrapper = Server(["fcgiwrap", "-s", "unix:\(socket)"], port: nil, log: folder["fcgiwrap.log"])
    let site = """
          listen 127.0.0.1:\(port) ssl http2;
          ssl_protocols TLSv1.3;
          ssl_certificate \(certificates.folder["server.pem"]); ssl_certificate_key \(certificates.folder["server.key"]);
          ssl_verify_client on; ssl_client_certificate \(certificates.folder["ca.pem"]);
          if ($http_authorization != "Bearer \(token)") { return 401; }
          client_max_body_size 0;
          if (-f \(folder["patience"])) { return 429; }
          add_header Retry-After $retry always;
      """
    let passing = """
            fastcgi_pass unix:\(socket);
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_PROJECT_ROOT \(repository.folder["site"]);
            fastcgi_param GIT_HTTP_EXPORT_ALL "";
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param GIT_CONFIG_GLOBAL /dev/null;
            fastcgi_param GIT_CONFIG_NOSYSTEM 1;
            \(speaksVersion2 ? "fastcgi_param GIT_PROTOCOL $http_git_protocol;" : "")
      """
    try write(
      """
      daemon off; master_process off;
      pid \(folder["pid"]); error_log \(folder["error.log"]);
      events { worker_connections 512; }
      http {
        log_format bytes "$request_method $uri $status $bytes_sent $request_length"; access_log \(folder["access.log"]) bytes;
        client_body_temp_path \(folder.path); proxy_temp_path \(folder.path); fastcgi_temp_path \(folder.path);
        uwsgi_temp_path \(folder.path); scgi_temp_path \(folder.path);
        keepalive_requests 100000;
        map $status $retry { 429 7; default ""; }
        server {
      \(site)
          location / {
      \(backend ?? passing)
          }
        }
      }
      """, to: folder["nginx.conf"])
    nginx = Server(
      ["nginx", "-c", folder["nginx.conf"], "-e", folder["error.log"]], port: port, log: folder["nginx.log"])
    try await wrapper.start()
    try await nginx.start()
  }

  var address: String { "git+https://127.0.0.1:\(port)/repository.git" }
  var settings: [String: String] {
    [
      "tls-ca": certificates.folder["ca.pem"], "tls-cert": certificates.folder["client.pem"],
      "tls-key": certificates.folder["client.key"], "token-file": folder["token"],
    ]
  }
  var secrets: [String] { [token] }

  func makeUnreachable() async throws { await nginx.stop() }
  func makeReachable() async throws { try await nginx.start() }
  func stall() async throws { nginx.pause() }
  func waitUntilStalled() async throws { try await Task.sleep(for: .milliseconds(100)) }
  func resume() async throws { nginx.proceed() }

  func askForPatience() async throws { try write("", to: folder["patience"]) }

  /// What nginx sent, by its log.
  func bytes() async throws -> UInt64? { requests().reduce(0) { $0 + $1.sent } }

  func requests() -> [(method: String, path: String, status: Int, sent: UInt64, received: UInt64)] {
    let log = (try? String(contentsOfFile: folder["access.log"], encoding: .utf8)) ?? ""
    return log.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 5, let status = Int(words[2]), let sent = UInt64(words[3]), let received = UInt64(words[4])
      else { return nil }
      return (String(words[0]), String(words[1]), status, sent, received)
    }
  }

  func tearDown() async {
    await nginx.stop()
    await wrapper.stop()
  }
}
