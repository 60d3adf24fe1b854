import DesiredState
import Foundation
import HTTPTestSupport
import HTTPTransport
import Logging
import RESTTestSupport
import TestSupport
import Testing

@testable import RESTBackend

/// The authorities of a manager's trust domain, from where they are published.
@Suite(.timeLimit(.minutes(5))) struct TrustBundleTests {
  /// A manager, and a server that publishes its trust domain's bundle: believed by its host's name and another authority.
  private struct Stage {
    let site: MargoSite
    let publisher: PythonServer
    let folder: TemporaryDirectory

    var url: String { "https://localhost:\(publisher.port)/.well-known/margo" }
    var bundleURL: String { "https://localhost:\(publisher.port)/.well-known/spiffe/bundle.json" }
  }

  private func stage() async throws -> Stage {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, ["a": Array("a: 1\n".utf8)]))
    let folder = TemporaryDirectory()
    let certificates = site.certificates
    let publisher = try await PythonServer.start(
      "margo",
      ["--root", folder.path, "--tls", certificates.certificate("untrusted"), certificates.key("untrusted")])
    let stage = Stage(site: site, publisher: publisher, folder: folder)
    try FileManager.default.createDirectory(atPath: folder["well-known"], withIntermediateDirectories: true)
    try discover(stage)
    return stage
  }

  private func discover(_ stage: Stage, domain: String = "plant.example", uri: String? = nil) throws {
    try stage.folder.write(
      "well-known/margo", #"{"trustDomain": "\#(domain)", "trustBundleUri": "\#(uri ?? stage.bundleURL)", "later": 1}"#)
  }

  private func publish(_ stage: Stage, _ authorities: [String], sequence: Int?, hint: Double? = 0.001) throws {
    let keys = try authorities.map { file in
      let text = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        .filter { !$0.hasPrefix("-----") }.joined()
      return #"{"kty": "EC", "use": "x509-svid", "x5c": ["\#(text)"]}"#
    }
    let count = sequence.map { #""spiffe_sequence": \#($0), "# } ?? ""
    let often = hint.map { #""spiffe_refresh_hint": \#($0), "# } ?? ""
    try stage.folder.write(
      "well-known/bundle.json",
      #"{"trust_domains": {"plant.example": {\#(count)\#(often)"keys": [\#(keys.joined(separator: ", "))]}}}"#)
  }

  /// By the registry, as a configuration has it. The first is as after an installation, the next as after a restart.
  private func backend(_ stage: Stage, url: String? = nil) throws -> any DesiredStateBackend {
    var registry = BackendRegistry()
    MargoBackend.register(in: &registry)
    let certificates = stage.site.certificates
    var settings = BackendSettings()
    settings[.trustedAuthorities] = certificates.otherAuthority
    settings[.clientCertificate] = certificates.certificate("wfm-client")
    settings[.clientKey] = certificates.key("wfm-client")
    settings[.trustBundle] = url ?? stage.url
    return try registry.backend(
      for: "margo+" + stage.site.base,
      context: BackendContext(
        device: "press-42", settings: settings, recordDirectory: stage.folder["records"],
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })))
  }

  private func look(_ backend: any DesiredStateBackend) async throws -> String {
    do {
      switch try await backend.fetch(FetchRequest()).outcome {
      case .changed: return "changed"
      case .unchanged: return "unchanged"
      case .absent: return "absent"
      }
    } catch let error as BackendError {
      return "\(error.code)"
    }
  }

  private func asked(_ stage: Stage) -> Int { stage.publisher.log.split(separator: "\n").count }

  @Test func `the bundle is discovered, followed, replaced as a whole, and outlives its publisher`() async throws {
    let stage = try await stage()
    let (own, other) = (stage.site.certificates.authority, stage.site.certificates.otherAuthority)
    try publish(stage, [own], sequence: 12)
    let first = try backend(stage)
    #expect(try await look(first) == "changed")
    #expect(asked(stage) == 2)
    // During a rotation there are two; then the manager's is withdrawn, also on a connection that is open.
    try publish(stage, [own, other], sequence: 13)
    #expect(try await look(first) == "changed")
    try publish(stage, [other], sequence: 14)
    #expect(try await look(first) == "tls-untrusted")
    // An older one would bring it back; so it is not taken, now or after a restart.
    try publish(stage, [own], sequence: 13)
    #expect(try await look(first) == "tls-untrusted")
    #expect(try await look(backend(stage)) == "tls-untrusted")
    try publish(stage, [own], sequence: 15)
    let second = try backend(stage)
    #expect(try await look(second) == "changed")
    // A publisher that cannot be reached, or that publishes nonsense, takes nothing away.
    for nonsense in ["", "{}", #"{"trust_domains": {}}"#, #"{"trust_domains": {"plant.example": {"keys": []}}}"#] {
      try stage.folder.write("well-known/bundle.json", nonsense)
      #expect(try await look(backend(stage)) == "changed", "\(nonsense)")
    }
  }

  @Test func `it is asked for as often as it says, and not at each poll`() async throws {
    let stage = try await stage()
    try publish(stage, [stage.site.certificates.authority], sequence: 1, hint: 86400)
    let backend = try backend(stage)
    for _ in 1...3 { #expect(try await look(backend) == "changed") }
    #expect(asked(stage) == 2)
    #expect(try await look(self.backend(stage)) == "changed")
    #expect(asked(stage) == 2)
  }

  @Test func `without any bundle no manager is believed`() async throws {
    let stage = try await stage()
    #expect(try await look(backend(stage)) == "unreachable")
    for bundle in [
      "{", "[]", #"{"keys": [{"use": "jwt-svid"}]}"#, #"{"keys": [{"use": "x509-svid", "x5c": ["AAAA"]}]}"#,
    ] {
      try stage.folder.write("well-known/bundle.json", bundle)
      #expect(try await look(backend(stage)) == "protocol-violation", "\(bundle)")
    }
    #expect(stage.site.requests.isEmpty)
  }

  @Test func `another trust domain's bundle, or one that is not at https, is not taken`() async throws {
    let stage = try await stage()
    try publish(stage, [stage.site.certificates.authority], sequence: 1)
    for (domain, uri) in [
      ("other.example", nil), ("plant.example", stage.bundleURL.replacing("https:", with: "http:")),
      ("plant.example", "/bundle.json"), ("plant.example", "file:///etc/passwd"),
    ] {
      try discover(stage, domain: domain, uri: uri)
      #expect(try await look(backend(stage)) == "protocol-violation", "\(domain) \(uri ?? "")")
    }
    #expect(stage.site.requests.isEmpty)
    for url in ["http://localhost:1/x", "/x", "ftp://localhost/x"] {
      #expect(throws: SourceAddressError.self) { try backend(stage, url: url) }
    }
  }

  @Test func `the bundle's own address will do`() async throws {
    let stage = try await stage()
    try publish(stage, [stage.site.certificates.authority], sequence: nil, hint: nil)
    #expect(try await look(backend(stage, url: stage.bundleURL)) == "changed")
    #expect(asked(stage) == 1)
  }
}
