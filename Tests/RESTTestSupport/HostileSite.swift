import DesiredState
package import DesiredStateTesting
import Foundation
package import HTTPTestSupport
package import HTTPTransport
package import RESTBackend
package import TestSupport

/// A drop behind `hostile.py`, which serves it well but for one part, of which it does what no server should.
package final class HostileSite: Sendable {
  /// The files that the server is hostile about.
  package enum Target: String, CaseIterable, Sendable {
    case manifest = "manifest.json"
    case signatures
    case documents
  }

  package let publication: TestPublication
  package let server: PythonServer
  package let directory = TemporaryDirectory()
  private let scheme: String
  private let host: String

  /// One for all tests that change nothing of it: it keeps nothing from one connection to another.
  package static let shared = Task { try await start() }

  package static func start(
    _ publication: TestPublication = .version(5), host: String = "127.0.0.1", tls: NginxServer.Site? = nil
  ) async throws -> HostileSite {
    let certificates = try await Certificates.shared.value
    return try await onThread { try HostileSite(publication, host, tls.map { _ in certificates }) }
  }

  private init(_ publication: TestPublication, _ host: String, _ certificates: Certificates?) throws {
    self.publication = publication
    self.host = host.contains(":") ? "[\(host)]" : host
    scheme = certificates == nil ? "http" : "https"
    try publication.write(to: directory.path)
    server = try PythonServer(
      "hostile",
      ["--root", directory.path, "--host", host]
        + (certificates.map { ["--tls", $0.certificate("server"), $0.key("server")] } ?? []))
  }

  package var origin: String { "\(scheme)://\(host):\(server.port)" }

  /// The manifest's address on a server that answers for `target` with a behaviour of `hostile.py`.
  package func url(_ target: Target = .manifest, _ behaviour: String = "file") -> String {
    "\(origin)/at/\(target.rawValue)/\(behaviour)/manifest.json"
  }

  package func backend(
    _ target: Target = .manifest, _ behaviour: String = "file", receipts: String? = nil,
    _ change: (inout HTTPTransportConfiguration) throws -> Void = { _ in }
  ) throws -> RESTBackend {
    var configuration = HTTPTransportConfiguration()
    try change(&configuration)
    return try RESTBackend(
      manifest: url(target, behaviour), receipts: receipts, transport: try HTTPTransport(configuration: configuration))
  }
}
