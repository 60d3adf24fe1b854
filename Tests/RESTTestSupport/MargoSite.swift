package import DesiredState
import DesiredStateTesting
import Foundation
import Glibc
package import HTTPTestSupport
package import HTTPTransport
package import RESTBackend
import Synchronization
package import TestSupport

/// A fleet manager (`margo.py`) that serves what a test puts into its folder.
package final class MargoSite: Sendable {
  package let directory = TemporaryDirectory()
  package let certificates: Certificates
  package let isSecure: Bool
  private let identity: String
  private let process = Mutex<ChildProcess?>(nil)
  private let listening = Mutex(0)
  package var port: Int { listening.withLock { $0 } }

  /// - Parameters:
  ///   - isSecure: whether it speaks TLS 1.3 and wants a client certificate.
  ///   - identity: the name of its certificate.
  package static func start(isSecure: Bool = true, identity: String = "wfm") async throws -> MargoSite {
    let certificates = try await Certificates.shared.value
    return try await onThread { try MargoSite(certificates, isSecure, identity) }
  }

  private init(_ certificates: Certificates, _ isSecure: Bool, _ identity: String) throws {
    self.certificates = certificates
    self.isSecure = isSecure
    self.identity = identity
    for folder in ["artifacts", "bundles"] {
      try FileManager.default.createDirectory(atPath: file(folder), withIntermediateDirectories: true)
    }
    try launch()
  }

  private func launch() throws {
    let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("HTTPTestSupport/Fixtures/margo.py").path
    let tls =
      isSecure
      ? [
        "--tls", certificates.certificate(identity), certificates.key(identity), "--client-ca", certificates.authority,
      ] : []
    // The first time on any free port; then on that one, which another connection may have for a moment.
    for _ in 0..<5 {
      let started = try ChildProcess(
        ["python3", "-B", program, "--root", directory.path, "--port", "\(port)", "--log", file("log")] + tls)
      guard let number = started.readLine().flatMap(Int.init) else { continue }
      listening.withLock { $0 = number }
      process.withLock { $0 = started }
      return
    }
    throw ChildProcess.Failure(description: "margo.py did not start")
  }

  package func start() async throws { try await onThread { [self] in try launch() } }
  package func stop() async throws { try await onThread { [self] in process.withLock { $0 = nil } } }
  package func freeze() async throws {
    if let identifier = process.withLock({ $0?.identifier }) { try await stopped(identifier) }
  }
  package func thaw() { process.withLock { if let process = $0 { kill(process.identifier, SIGCONT) } } }

  package var base: String { "\(isSecure ? "https" : "http")://localhost:\(port)" }
  package func file(_ name: String) -> String { directory[name] }

  /// - Parameter certificate: the name of the client's certificate; nil for none.
  package func transport(
    client certificate: String? = "wfm-client",
    _ configure: (inout HTTPTransportConfiguration) throws -> Void = { _ in }
  ) throws -> HTTPTransport {
    var configuration = HTTPTransportConfiguration()
    configuration.tls.trust = .only(file: certificates.authority)
    configuration.tls.clientCertificate = certificate.map {
      HTTPClientCertificate(certificateFile: certificates.certificate($0), keyFile: certificates.key($0))
    }
    try configure(&configuration)
    return try HTTPTransport(configuration: try MargoBackend.mutualTLS(configuration))
  }

  package func backend(
    path: String = "", _ configure: (inout HTTPTransportConfiguration) throws -> Void = { _ in }
  ) throws -> MargoBackend {
    try MargoBackend(base: base + path, transport: try transport(configure))
  }

  // MARK: - What it serves

  package func publish(_ state: MargoState, leavingOut id: String? = nil) throws {
    for (document, bytes) in state.documents where document != id {
      try Data(bytes).write(to: URL(fileURLWithPath: file("artifacts/\(Digest.of(bytes).hexadecimal)")))
    }
    if let id, let bytes = state.documents[id] {
      try? FileManager.default.removeItem(atPath: file("artifacts/\(Digest.of(bytes).hexadecimal)"))
    }
    if let bundle = state.bundle {
      try Data(bundle).write(to: URL(fileURLWithPath: file("bundles/\(Digest.of(bundle).hexadecimal)")))
    }
    // At once, or not at all.
    let temporary = file("manifest.new")
    try Data(state.manifest).write(to: URL(fileURLWithPath: temporary))
    guard rename(temporary, file("manifest.json")) == 0 else { throw ChildProcess.Failure(description: "rename") }
  }

  package func write(_ name: String, _ text: String) throws { try directory.write(name, text) }
  package func remove(_ name: String) { try? FileManager.default.removeItem(atPath: file(name)) }

  package struct Request: Decodable, Sendable {
    package var method: String
    package var path: String
    package var fields: [String: String]
    package var status: Int
    package var bytes: UInt64
    package var body: String
  }

  /// Every request so far.
  package var requests: [Request] { lines("log") }
  package var statuses: [Status] { lines("statuses") }

  package struct Status: Decodable, Equatable, Sendable {
    package struct State: Decodable, Equatable, Sendable {
      package var state: String
      package var error: Failure?
    }
    package struct Failure: Decodable, Equatable, Sendable {
      package var code: String
      package var source: String
      package var message: String

      package init(code: String, source: String, message: String) {
        self.code = code
        self.source = source
        self.message = message
      }
    }
    package struct Component: Decodable, Equatable, Sendable {
      package var name: String
      package var state: String
      package var error: Failure?
    }
    package var deploymentId: String
    package var deviceId: String?
    package var adoptedManifestVersion: UInt64?
    package var status: State
    package var components: [Component]
  }

  private func lines<Value: Decodable>(_ name: String) -> [Value] {
    directory.read(name).split(separator: "\n").compactMap {
      try? JSONDecoder().decode(Value.self, from: Data($0.utf8))
    }
  }
}

/// A state as a fleet manager makes it.
package struct MargoState {
  package var documents: [String: [UInt8]]
  package var manifest: [UInt8]
  package var bundle: [UInt8]?

  package var revision: Revision { Revision(ofManifest: manifest) }

  /// - Parameters:
  ///   - url: where a document is said to be.
  ///   - bundle: an archive that the manifest names.
  ///   - size: what `sizeBytes` says of each document; by default the truth.
  package init(
    version: UInt64, _ documents: [String: [UInt8]], bundle: [UInt8]? = nil, bundleDigest: Digest? = nil,
    size: UInt64?? = nil,
    url: (String, Digest) -> String = { "/api/v1/deployments/\($0)/\($1)" }
  ) {
    self.documents = documents
    self.bundle = bundle
    let reference = bundle.map { bytes in
      let digest = bundleDigest ?? Digest.of(bytes)
      return StateManifest.BundleReference(
        digest: digest, advisorySize: UInt64(bytes.count), url: "/api/v1/bundles/\(digest)")
    }
    manifest =
      StateManifest(
        version: version, bundle: reference,
        documents: documents.sorted { $0.key < $1.key }.map { id, bytes in
          DocumentReference(
            id: id, digest: Digest.of(bytes), advisorySize: size ?? UInt64(bytes.count), url: url(id, Digest.of(bytes)))
        }
      ).encoded()
  }
}
