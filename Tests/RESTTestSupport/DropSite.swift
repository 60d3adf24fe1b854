import DesiredState
package import DesiredStateTesting
import Foundation
import Glibc
package import HTTPTestSupport
package import HTTPTransport
package import RESTBackend
import Synchronization
package import TestSupport

/// A drop in a directory that nginx serves: with TLS 1.3, client certificates, HTTP/2, gzip, and WebDAV for receipts.
package final class DropSite: Sendable {
  package static let token = "token-of-the-drop"

  package let directory = TemporaryDirectory()
  package let certificates: Certificates
  private let nginx: Nginx
  private let directives: Directives
  private let clock = Mutex(0)

  /// The directory that is the drop, which a file backend may follow as well.
  package var drop: String { directory["drop"] }
  package var manifestURL: String { url("manifest.json") }
  package var port: Int { nginx.ports[0] }

  package func url(_ path: String, host: String = "localhost") -> String { "https://\(host):\(port)/drop/\(path)" }

  package static func start(_ site: NginxServer.Site = .mutual) async throws -> DropSite {
    try await DropSite(site)
  }

  private init(_ site: NginxServer.Site) async throws {
    certificates = try await Certificates.shared.value
    let (directory, certificates, directives) = (directory, certificates, Directives())
    try FileManager.default.createDirectory(atPath: directory["drop"], withIntermediateDirectories: true)
    self.directives = directives
    nginx = try await Nginx.start(ports: 1) { nginx in
      """
        gzip_types *;
      \(NginxServer.server(
        site, port: nginx.ports[0], certificates,
        """
        root \(directory.path);
        access_log \(nginx.directory["access.log"]) lines;
        if ($http_authorization != "Bearer \(Self.token)") { return 401; }
        \(directives.text)
        location /drop/acknowledgements/ { dav_methods PUT; create_full_put_path on; }
        """))
      """
    }
  }

  /// What nginx is told besides.
  private final class Directives: Sendable {
    private let value = Mutex("")
    var text: String {
      get { value.withLock { $0 } }
      set { value.withLock { $0 = newValue } }
    }
  }

  // MARK: - The server

  package func stop() async throws { try await nginx.stop() }
  package func start() async throws { try await nginx.start() }
  package func freeze() async throws { try await nginx.freeze() }
  package func thaw() { nginx.thaw() }

  /// Starts nginx anew with more in its `server` block.
  package func restart(with directives: String) async throws {
    self.directives.text = directives
    try await nginx.stop()
    try await nginx.start()
  }

  /// Every request that nginx has answered.
  package func requests() async throws -> [Nginx.Line] { try await nginx.requests() }

  // MARK: - Backends

  package func configuration() throws -> HTTPTransportConfiguration {
    var configuration = HTTPTransportConfiguration(
      credentials: HTTPCredentials(.bearer(HTTPSecret(Self.token)), for: try HTTPOrigin(of: manifestURL)))
    configuration.tls.trust = .only(file: certificates.authority)
    configuration.tls.clientCertificate = HTTPClientCertificate(
      certificateFile: certificates.certificate("client"), keyFile: certificates.key("client"))
    configuration.maximumConcurrentExchanges = 256
    return configuration
  }

  package func transport(_ change: (inout HTTPTransportConfiguration) throws -> Void = { _ in }) throws -> HTTPTransport
  {
    var configuration = try configuration()
    try change(&configuration)
    return try HTTPTransport(configuration: configuration)
  }

  package func backend(
    receipts: String? = "acknowledgements", _ change: (inout HTTPTransportConfiguration) throws -> Void = { _ in }
  ) throws -> RESTBackend {
    try RESTBackend(manifest: manifestURL, receipts: receipts, transport: try transport(change))
  }

  // MARK: - Publishing

  /// Puts a publication in place, in the order of its files, leaving out a part if asked to. Each manifest is dated a
  /// second after the one before, and long ago, as one is that was not published just now.
  package func publish(_ publication: TestPublication, leavingOut part: TestPublication.Part? = nil) throws {
    for file in publication.files where file.part != part {
      try replace(drop + "/" + file.path, with: file.bytes)
    }
  }

  /// Puts a file in place as a whole.
  package func replace(_ path: String, with bytes: [UInt8]) throws {
    let temporary = directory[".new"]
    try FileManager.default.createDirectory(
      atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: temporary))
    try age(temporary)
    guard rename(temporary, path) == 0 else { throw ChildProcess.Failure(description: "rename \(path): \(errno)") }
  }

  /// Dates a file long ago, a second after the one that was dated before.
  package func age(_ path: String) throws {
    let time = clock.withLock { clock in
      clock += 1
      return 1_600_000_000 + clock
    }
    var times = [timespec](repeating: timespec(tv_sec: time, tv_nsec: 0), count: 2)
    guard utimensat(AT_FDCWD, path, &times, 0) == 0 else {
      throw ChildProcess.Failure(description: "utimensat \(path)")
    }
  }
}
