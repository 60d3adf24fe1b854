package import DesiredState
import Foundation
package import HTTPTestSupport
import TestSupport

/// A repository behind nginx and git's own http-backend: TLS 1.3 and nothing older, client certificates, and a token.
package final class GitOverHTTP: TransportUnderTest {
  package let repository: OperatorRepository
  private let folder = TemporaryDirectory()
  private let certificates: Certificates
  private let nginx: Nginx
  private let wrapper: ServerProcess
  private let token = "the-secret-token-of-press-42"

  /// - Parameters:
  ///   - speaksVersion2: whether the server is told which protocol the client would like.
  ///   - filters: whether the server leaves out what it is asked to.
  ///   - takesPushes: whether pushes are taken.
  ///   - directives: more of nginx's, for the whole server.
  ///   - backend: directives of nginx in the place of git's http-backend.
  package init(
    _ repository: OperatorRepository, speaksVersion2: Bool = true, filters: Bool = true, takesPushes: Bool = true,
    directives: String = "", backend: String? = nil
  ) async throws {
    self.repository = repository
    let certificates = try await Certificates.shared.value
    self.certificates = certificates
    try folder.write("token", token + "\n")
    try await repository.git("config", "uploadpack.allowFilter", filters ? "true" : "false")
    try await repository.git("config", "http.receivepack", takesPushes ? "true" : "false")
    let socket = folder["fcgi"]
    wrapper = ServerProcess(
      ["fcgiwrap", "-s", "unix:\(socket)"], listeningAt: [.path(socket)], output: folder["fcgiwrap.log"])
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
    let (patience, token) = (folder["patience"], token)
    try await wrapper.start()
    nginx = try await Nginx.start(ports: 1) { nginx in
      """
        map $status $retry { 429 7; default ""; }
      \(NginxServer.server(
        .mutual, port: nginx.ports[0], certificates,
        """
        access_log \(nginx.directory["access.log"]) lines;
        if ($http_authorization != "Bearer \(token)") { return 401; }
        client_max_body_size 0;
        if (-f \(patience)) { return 429; }
        add_header Retry-After $retry always;
        \(directives)
        location / {
        \(backend ?? passing)
        }
        """))
      """
    }
  }

  package var address: String { "git+https://127.0.0.1:\(nginx.ports[0])/repository.git" }
  package var settings: BackendSettings {
    BackendSettings {
      $0[.trustedAuthorities] = certificates.authority
      $0[.clientCertificate] = certificates.certificate("client")
      $0[.clientKey] = certificates.key("client")
      $0[.tokenFile] = folder["token"]
    }
  }
  package var secrets: [String] { [token] }

  package func makeUnreachable() async throws { try await nginx.stop() }
  package func makeReachable() async throws { try await nginx.start() }
  package func stall() async throws { try await nginx.freeze() }
  package func waitUntilStalled() async throws { try await untilClientWaits(atPort: nginx.ports[0]) }
  package func resume() async throws { nginx.thaw() }

  package func askForPatience() async throws { try folder.write("patience", "") }

  /// What nginx sent, by its log.
  package func bytes() async throws -> UInt64? { try await requests().reduce(0) { $0 + $1.sent } }

  package func requests() async throws -> [Nginx.Line] { try await nginx.requests() }

  package func tearDown() async {
    try? await nginx.stop()
    try? await wrapper.stop()
  }
}
