import DesiredState
import DesiredStateTesting
import Foundation
import HTTPMessageSignatures
import HTTPTestSupport
import HTTPTransport
import HTTPTypes
import RESTTestSupport
import TestSupport
import Testing

@testable import RESTBackend

/// What the Margo Workload Management API demands of a client, tried against a manager.
@Suite(.timeLimit(.minutes(2))) struct MargoTests {
  static let documents: [String: [UInt8]] = [
    "a3e2f5dc": Array("apiVersion: application.margo.org/v1alpha1\n".utf8), "b": Array("kind: b\n".utf8),
  ]

  private func look(
    _ backend: MargoBackend, current: Revision? = nil, marker: String? = nil, held: Set<Digest> = [],
    policy: TrustPolicy = .channel
  ) async throws -> (documents: [String: [UInt8]], result: FetchResult) {
    let result = try await backend.fetch(
      FetchRequest(current: current, marker: marker, held: HeldDocuments { held.contains($0) }, timeout: .seconds(20)))
    guard case .changed(let state) = result.outcome else { return ([:], result) }
    let verified = try await backend.verify(state, with: Verifier(policy: policy, device: "press-42", now: Date()))
    let missing = verified.manifest.documents.filter { !held.contains($0.digest) }
    var documents: [String: [UInt8]] = [:]
    for document in verified.readingOrder(of: missing) {
      var bytes: [UInt8] = []
      for try await piece in try await verified.open(document) { bytes += piece }
      documents[document.id] = bytes
    }
    return (documents, result)
  }

  private func refusal(_ backend: MargoBackend, policy: TrustPolicy = .channel) async -> String? {
    do {
      _ = try await look(backend, policy: policy)
      return nil
    } catch let error as VerificationError {
      return error.code.rawValue
    } catch {
      return "\(error)"
    }
  }

  private func unavailability(_ site: MargoSite, _ backend: MargoBackend) async throws -> BackendError {
    try #require(await #expect(throws: BackendError.self) { _ = try await look(backend) })
  }

  // MARK: - Both forms

  @Test func `rc.3 is spoken with a certificate, below any base`() async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents))
    #expect(try await look(site.backend()).documents == Self.documents)
    #expect(try await look(site.backend(path: "/base")).documents == Self.documents)
    let paths = site.requests.map(\.path)
    #expect(paths.contains("/api/v1/deployments") && paths.contains("/base/api/v1/deployments"))
    // What the manifest says from /api/v1 on is below the base as well.
    #expect(paths.filter { $0.hasPrefix("/base/api/v1/deployments/") }.count == 2)
    #expect(site.requests.allSatisfy { $0.fields["signature"] == nil })
    #expect(site.requests.first?.fields["accept"] == "application/vnd.margo.manifest.v1+json")
  }

  @Test func `the client-id form signs every request, and onboards`() async throws {
    let site = try await MargoSite.start(isSecure: false)
    try site.publish(
      MargoState(version: 1, Self.documents) { "/api/v1/clients/client-7/deployments/\($0)/\($1)" })
    let transport = try HTTPTransport()
    let pem = try String(contentsOfFile: site.certificates.key("wfm-client"), encoding: .utf8)
    let key = try HTTPSigningKey(pem: pem)
    let certificate = try String(contentsOfFile: site.certificates.certificate("wfm-client"), encoding: .utf8)
    let client = try await MargoBackend.onboard(
      base: site.base, certificate: certificate, key: key, transport: transport)
    #expect(client == "client-7")
    let backend = try MargoBackend(
      base: site.base, clientID: client, transport: transport,
      signRequest: MargoBackend.signature(by: key, keyID: client))
    #expect(try await look(backend, policy: .unsigned).documents == Self.documents)
    try await backend.acknowledge(.installed("b", version: 1))
    #expect(site.requests.map(\.path).contains("/api/v1/clients/client-7/deployments/b/status"))

    let verification = try HTTPVerificationKey(pem: key.publicKeyPEM!)
    #expect(site.requests.count == 5)
    for request in site.requests {
      let body = try #require(Data(base64Encoded: request.body))
      let digest = try #require(request.fields["content-digest"])
      try HTTPContentDigest.verify(digest, of: Array(body))
      var fields: HTTPFields = [:]
      for name in ["Content-Digest", "Signature", "Signature-Input"] {
        fields[HTTPField.Name(name)!] = request.fields[name.lowercased()]
      }
      let received = HTTPRequest(
        method: HTTPRequest.Method(rawValue: request.method)!, scheme: "http", authority: request.fields["host"],
        path: request.path, headerFields: fields)
      let signature = try HTTPSignedMessage.request(received).verifySignature(
        .init(components: [.method, .targetURI, .field("content-digest")]), at: Date()
      ) { _ in verification }
      #expect(signature.label == "sig1")
      #expect(request.path.hasSuffix("onboarding") || signature.parameters.keyID == "client-7")
    }
    let wanted = try JSONDecoder().decode(
      [String: String].self, from: #require(Data(base64Encoded: site.requests[0].body)))
    #expect(wanted["kind"] == "OnboardingRequest" && wanted["apiVersion"] == "onboarding.margo.org/v1alpha1")
    #expect(certificate.filter { !$0.isNewline }.contains(wanted["certificate"] ?? "none"))
  }

  @Test func `a manager's signature over its response vouches, over plain HTTP too, and has to be there`() async throws
  {
    let site = try await MargoSite.start(isSecure: false)
    try site.publish(MargoState(version: 1, Self.documents))
    try site.write("gzip", "")
    let backend = try MargoBackend(
      base: site.base, transport: try HTTPTransport(),
      responseKey: HTTPVerificationKey(sharedSecret: Array("shared".utf8)))
    #expect(await refusal(backend) == "signature-missing")
    try site.write("secret", "another")
    #expect(await refusal(backend) == "signature-invalid")
    try site.write("secret", "shared")
    #expect(try await look(backend).documents == Self.documents)
    // A signature that fits the message, over other content.
    try site.write("signed-as", "{}")
    #expect(await refusal(backend) == "signature-invalid")
  }

  @Test func `plain HTTP vouches for nothing, and reaches this machine only unless it is allowed`() async throws {
    let site = try await MargoSite.start(isSecure: false)
    try site.publish(MargoState(version: 1, Self.documents))
    let transport = try HTTPTransport()
    let backend = try MargoBackend(base: site.base, transport: transport)
    #expect(await refusal(backend) == "signature-missing")
    #expect(throws: SourceAddressError.self) {
      try MargoBackend(base: "http://fleet.example", transport: transport)
    }
    _ = try MargoBackend(
      base: "http://fleet.example", transport: transport, allowsPlainHTTP: true)
  }

  // MARK: - ETag

  @Test(arguments: [#""sha256:0123""#, #"W/"weak""#, #""with spaces ;=,and more""#, "without-quotes"])
  func `an ETag is given back as it came, whatever it is`(tag: String) async throws {
    let site = try await MargoSite.start()
    let state = MargoState(version: 1, Self.documents)
    try site.publish(state)
    try site.write("tag", tag)
    let backend = try site.backend()
    let first = try await look(backend).result
    let second = try await look(backend, current: state.revision, marker: first.marker).result
    guard case .unchanged = second.outcome else {
      Issue.record("it is \(second)")
      return
    }
    #expect(site.requests.last?.status == 304)
    // A device that asks as if it had nothing, or has something else, sends no condition.
    _ = try await look(backend, current: nil, marker: first.marker)
    _ = try await look(backend, current: Revision(ofManifest: [1]), marker: first.marker)
    let manifests = site.requests.filter { $0.path == "/api/v1/deployments" }
    #expect(manifests.map { $0.fields["if-none-match"] != nil } == [false, true, false, false])
    #expect(manifests.map(\.status) == [200, 304, 200, 200])
  }

  // MARK: - Artifacts

  @Test func `digests are of decoded bytes`() async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, ["long": Array(String(repeating: "a: 1\n", count: 1000).utf8)]))
    try site.write("gzip", "")
    #expect(try await look(site.backend()).documents["long"]?.count == 5000)
    #expect(site.requests.contains { $0.path.hasPrefix("/api/v1/deployments/long") && $0.bytes < 500 })
  }

  @Test(arguments: [nil, 0, 1, 17, UInt64(1 << 30), UInt64(1 << 40), .max])
  func `what a manifest says of sizes decides nothing`(size: UInt64?) async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents, size: .some(size)))
    #expect(try await look(site.backend()).documents == Self.documents)
  }

  @Test func `an artifact that is not there is missing, and nothing is removed for it`() async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents), leavingOut: "b")
    #expect(await refusal(try site.backend()) == "document-missing")
  }

  @Test(arguments: [
    "https://other.example/api/v1/deployments/b", "//other.example/x", "https://localhost:1/x", "ftp://localhost/x",
    "http://localhost/x",
  ])
  func `a url leads to the manager or nowhere`(url: String) async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents) { _, _ in url })
    #expect(await refusal(try site.backend()) == "document-missing")
    #expect(site.requests.count == 1)
  }

  @Test func `a url may be absolute, or relative to the base`() async throws {
    let site = try await MargoSite.start()
    for url in [site.base + "/api/v1/deployments/", "api/v1/deployments/"] {
      try site.publish(MargoState(version: 1, Self.documents) { "\(url)\($0)/\($1)" })
      #expect(try await look(site.backend()).documents == Self.documents)
    }
  }

  // MARK: - Bundles

  /// A `.tar.gz` as tar(1) makes it.
  private func archive(_ documents: [String: [UInt8]]) async throws -> [UInt8] {
    let directory = TemporaryDirectory()
    try FileManager.default.createDirectory(atPath: directory["in"], withIntermediateDirectories: true)
    for (id, bytes) in documents { try Data(bytes).write(to: URL(fileURLWithPath: directory["in/\(id).yaml"])) }
    let path = directory.path
    _ = try await onThread { try ChildProcess.run(["tar", "-czf", "\(path)/b.tar.gz", "-C", "\(path)/in", "."]) }
    return Array(try Data(contentsOf: URL(fileURLWithPath: directory["b.tar.gz"])))
  }

  private var many: [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: (0..<40).map { ("app-\($0)", Array("kind: \($0)\n".utf8)) })
  }

  @Test func `the bundle is taken where it is the cheaper road, and documents where few are missing`() async throws {
    let site = try await MargoSite.start()
    let bundle = try await archive(many)
    try site.publish(MargoState(version: 1, many, bundle: bundle))
    let backend = try site.backend()
    #expect(try await look(backend).documents == many)
    #expect(site.requests.map(\.path).filter { $0.contains("/bundles/") }.count == 1)
    #expect(site.requests.count == 2, "one manifest and one bundle")
    let held = Set(many.filter { $0.key != "app-7" }.values.map { Digest.of($0) })
    #expect(try await look(backend, held: held).documents == ["app-7": many["app-7"]!])
    #expect(site.requests.count == 4, "one manifest and one document")
  }

  @Test(arguments: ["missing", "no archive", "without one document", "a document changed"])
  func `a bundle that cannot be used is no reason to do without the documents`(fault: String) async throws {
    let site = try await MargoSite.start()
    var bundled = many
    if fault == "without one document" { bundled["app-7"] = nil }
    if fault == "a document changed" { bundled["app-7"] = Array("kind: evil\n".utf8) }
    var bundle = try await archive(bundled)
    if fault == "no archive" { bundle = Array("no archive".utf8) }
    try site.publish(MargoState(version: 1, many, bundle: bundle))
    if fault == "missing" { site.remove("bundles/\(Digest.of(bundle).hexadecimal)") }
    #expect(try await look(site.backend()).documents == many)
  }

  @Test func `a bundle with another digest than the manifest names ends the update`() async throws {
    let site = try await MargoSite.start()
    let bundle = try await archive(many)
    try site.publish(MargoState(version: 1, many, bundle: bundle))
    let file = site.file("bundles/\(Digest.of(bundle).hexadecimal)")
    for wrong in [Array(bundle.dropLast(bundle.count / 2)), bundle + [0]] {
      try Data(wrong).write(to: URL(fileURLWithPath: file))
      #expect(await refusal(try site.backend()) == "digest-mismatch")
    }
    try Data(bundle).write(to: URL(fileURLWithPath: file))
    #expect(try await look(site.backend()).documents == many)
  }

  // MARK: - Manifests

  private static let entry = """
    {"deploymentId": "b", "digest": "sha256:\(Digest.of(documents["b"]!).hexadecimal)", "sizeBytes": 3, "url": "/api/v1/deployments/b/\(Digest.of(documents["b"]!))"}
    """

  @Test(arguments: [
    (#"{"manifestVersion": 1, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": {}, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": BUNDLE, "deployments": []}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": null}"#, "manifest-malformed"),
    (#"{"bundle": null, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 0, "bundle": null, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": "1", "bundle": null, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 18446744073709551616, "bundle": null, "deployments": [ENTRY]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [ENTRY, ENTRY]}"#, "duplicate-document"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [UPPER]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [NOURL]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [SHA512]}"#, "unsupported-digest"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [TEXTSIZE]}"#, "manifest-malformed"),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [ENTRY]}"#, nil),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": []}"#, nil),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [HUGE], "x-acme-extensions": {"a": 1e30}}"#, nil),
    (#"{"manifestVersion": 1, "bundle": null, "deployments": [FRACTION]}"#, nil),
  ])
  func `a manifest is as the specification has it, or refused`(text: String, code: String?) async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents))
    let entry = Self.entry
    let hex = Digest.of(Self.documents["b"]!).hexadecimal
    try site.write(
      "manifest.json",
      text.replacing("ENTRY", with: entry)
        .replacing(
          "BUNDLE",
          with: #"{"mediaType": "application/vnd.margo.bundle.v1+tar+gzip", "digest": "sha256:\#(hex)", "url": "/b"}"#
        )
        .replacing("UPPER", with: entry.replacing("sha256:\(hex)\",", with: "sha256:\(hex.uppercased())\","))
        .replacing("NOURL", with: #"{"deploymentId": "b", "digest": "sha256:\#(hex)"}"#)
        .replacing("SHA512", with: entry.replacing("\"sha256:", with: "\"sha512:"))
        .replacing("TEXTSIZE", with: entry.replacing(": 3,", with: ": \"3\","))
        .replacing("HUGE", with: entry.replacing(": 3,", with: ": 1e30,"))
        .replacing("FRACTION", with: entry.replacing(": 3,", with: ": 2.5,")))
    #expect(await refusal(try site.backend()) == code)
  }

  @Test func `a bundle that unpacks to far more than it is is given up`() async throws {
    let site = try await MargoSite.start()
    var bundled = many
    bundled["bomb"] = [UInt8](repeating: 0, count: 64 << 20)
    try site.publish(MargoState(version: 1, many, bundle: try await archive(bundled)))
    #expect(try await look(site.backend()).documents == many)
  }

  // MARK: - Problems

  @Test(arguments: [
    (400, BackendError.Code.protocolViolation, false), (401, .unauthorized, false), (403, .forbidden, false),
    (406, .protocolViolation, false), (429, .rateLimited, true), (500, .serverError, true), (503, .serverError, true),
  ])
  func `problems become errors, with the manager's words and its patience`(
    status: Int, code: BackendError.Code, retryable: Bool
  ) async throws {
    let site = try await MargoSite.start()
    let problem = """
      {"type": "https://docs.margo.org/specification/problem-types#some", "title": "A title\\u001b[31m",
       "detail": "\(String(repeating: "x", count: 5000))", "status": \(status), "retryAfterSeconds": 77}
      """
    let value =
      ["status": status, "body": problem, "headers": status == 429 ? ["Retry-After": "9"] : [:]] as [String: Any]
    try JSONSerialization.data(withJSONObject: value).write(to: URL(fileURLWithPath: site.file("problem")))
    let error = try await unavailability(site, site.backend())
    #expect(error.code == code && error.isRetryable == retryable, "\(error)")
    #expect(error.retryAfter == (status == 429 ? .seconds(9) : .seconds(77)))
    #expect(error.message.contains("A title") && error.message.contains("#some"))
    #expect(!error.message.contains("\u{1b}") && error.message.utf8.count < 1000)
  }

  @Test func `what the manager says of retrying counts, and a web page is no manifest`() async throws {
    let site = try await MargoSite.start()
    try site.write("problem", #"{"status": 500, "body": "{\"title\": \"Never\", \"retryable\": false}"}"#)
    #expect(try await unavailability(site, site.backend()).isRetryable == false)
    try site.write("problem", #"{"status": 200, "body": "<html>", "type": "text/html"}"#)
    #expect(try await unavailability(site, site.backend()).code == .protocolViolation)
    try site.write("problem", #"{"status": 503, "body": "{{{"}"#)
    #expect(try await unavailability(site, site.backend()).code == .serverError)
  }

  // MARK: - Statuses

  @Test func `a status bears the version it came from, and the most severe of its components' states`() async throws {
    let site = try await MargoSite.start()
    let backend = try site.backend()
    let status = DocumentStatus(
      documentID: "app/1", state: .installed, error: .init(code: "E1", message: "no room"),
      components: [
        .init(name: "db", state: .installed),
        .init(name: "web", state: .failed, error: .init(code: "E2", message: "m")),
      ])
    for _ in 1...2 {
      try await backend.acknowledge(
        Acknowledgement(
          device: "press-42", revision: nil, adoptedManifestVersion: .max, time: Date(), outcome: .document(status)))
    }
    #expect(site.requests.map(\.path) == Array(repeating: "/api/v1/deployments/app%2F1/status", count: 2))
    let posted = try #require(site.statuses.first)
    #expect(site.statuses == [posted, posted])
    #expect(posted.deploymentId == "app/1" && posted.deviceId == "press-42" && posted.adoptedManifestVersion == .max)
    #expect(posted.status.state == "failed")
    #expect(posted.status.error == .init(code: "E1", source: "app/1", message: "no room"))
    #expect(posted.components.map(\.state) == ["installed", "failed"])
    #expect(posted.components[1].error == .init(code: "E2", source: "web", message: "m"))
  }

  @Test func `the API has no place for a state as a whole, and the backend says so`() async throws {
    let site = try await MargoSite.start()
    let backend = try site.backend()
    #expect(backend.capabilities == [.acknowledgesDocuments, .acknowledgesEachChange])
    let error = await #expect(throws: BackendError.self) {
      try await backend.acknowledge(
        Acknowledgement(device: "d", revision: nil, adoptedManifestVersion: 1, time: Date(), outcome: .adopted))
    }
    #expect(error?.code == .unsupported)
    #expect(site.requests.isEmpty)
  }

  @Test func `a status is of the device that speaks or of one behind it, and a name that is no device id is left out`()
    async throws
  {
    let site = try await MargoSite.start()
    let backend = try site.backend()
    for (device, behind) in [("gw", nil), ("gw", "gw/a"), ("press 42", nil)] {
      try await backend.acknowledge(
        Acknowledgement(
          device: device, revision: nil, adoptedManifestVersion: 1, time: Date(),
          outcome: .document(DocumentStatus(documentID: "b", device: behind, state: .installed))))
    }
    #expect(site.statuses.map(\.deviceId) == ["gw", "gw/a", nil])
  }

  // MARK: - Identity

  @Test(arguments: ["wfm-other", "wfm-elsewhere", "wfm-two", "server", "other-host"])
  func `a server that is not this client's manager is sent nothing`(identity: String) async throws {
    let site = try await MargoSite.start(identity: identity)
    try site.publish(MargoState(version: 1, Self.documents))
    let error = try await unavailability(site, site.backend())
    #expect(error.code == .tlsUntrusted && !error.isRetryable, "\(error)")
    #expect(site.requests.isEmpty)
  }

  @Test(arguments: [
    "wfm-authority", "wfm-cert-signer", "wfm-list-signer", "wfm-rsa-2048", "wfm-p-521", "wfm-sha-512",
  ])
  func `a certificate of the right name that is not fit for it is sent nothing`(identity: String) async throws {
    let site = try await MargoSite.start(identity: identity)
    try site.publish(MargoState(version: 1, Self.documents))
    let error = try await unavailability(site, site.backend())
    #expect(error.code == .tlsUntrusted && !error.isRetryable, "\(error)")
    #expect(error.message.contains("tls-unfit-certificate"), "\(error)")
    #expect(site.requests.isEmpty)
  }

  @Test(arguments: ["wfm-rsa-3072", "wfm-p-384", "wfm-ed25519", "wfm-usual"])
  func `every algorithm that is listed is believed`(identity: String) async throws {
    let site = try await MargoSite.start(identity: identity)
    try site.publish(MargoState(version: 1, Self.documents))
    #expect(await refusal(try site.backend()) == nil)
  }

  @Test func `the manager is known by its name and not by its host's`() async throws {
    // Its certificate has no host name at all.
    let site = try await MargoSite.start(identity: "wfm")
    try site.publish(MargoState(version: 1, Self.documents))
    #expect(await refusal(try site.backend()) == nil)
    // A client whose certificate is no SPIFFE one goes by the host name, which this certificate lacks.
    let stranger = try MargoBackend(
      base: site.base, transport: try site.transport(client: "client"))
    #expect(try await unavailability(site, stranger).code == .tlsUntrusted)
  }

  @Test func `a SPIFFE certificate that is not a client's is refused before anything is connected to`() async throws {
    let site = try await MargoSite.start()
    #expect(throws: SourceAddressError.self) { try site.transport(client: "wfm-no-client") }
    #expect(throws: SourceAddressError.self) { try site.transport(client: "two-identities") }
  }

  @Test func `an inspecting proxy is refused outright, whatever the device trusts`() async throws {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents))
    let certificates = site.certificates
    let proxy = try await PythonServer.start(
      "proxy",
      ["--inspect", certificates.certificate("untrusted"), certificates.key("untrusted")]
        + ["--client", certificates.certificate("wfm-client"), certificates.key("wfm-client")])
    for authority in [certificates.authority, certificates.otherAuthority] {
      let backend = try site.backend {
        $0.proxy = .proxy(try HTTPProxy("http://127.0.0.1:\(proxy.port)"))
        $0.tls.trust = .only(file: authority)
      }
      #expect(try await unavailability(site, backend).code == .tlsUntrusted)
    }
    #expect(!proxy.log.contains("/api/v1/deployments"))
    #expect(site.requests.isEmpty)
  }

  @Test func `a SPIFFE bundle is a file of authorities, with keys of other kinds in it, and fails closed without any`()
    async throws
  {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, Self.documents))
    func authority(_ file: String) throws -> String {
      try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("-----") }
        .joined()
    }
    func bundle(_ keys: String) throws -> String {
      try site.write(
        "bundle.json", #"{"spiffe_sequence": 12, "spiffe_refresh_hint": 60, "later": {}, "keys": [\#(keys)]}"#)
      return site.file("bundle.json")
    }
    let own = try authority(site.certificates.authority)
    let other = try authority(site.certificates.otherAuthority)
    let jwt = #"{"kty": "EC", "use": "jwt-svid", "kid": "1", "x": "AA", "y": "AA"}"#
    func look(_ keys: String) async throws {
      let file = try bundle(keys)
      _ = try await self.look(site.backend { $0.tls.trust = .only(file: file) })
    }
    let key = #"{"kty": "EC", "crv": "P-256", "use": "x509-svid", "x5c": ["\#(own)"]}"#
    try await look("\(jwt), \(key)")
    // During a rotation any of them is as good.
    try await look(key.replacing(own, with: other) + "," + key)
    for keys in [key.replacing(own, with: other), jwt, "", key.replacing(own, with: "no certificate")] {
      await #expect(throws: (any Error).self) { try await look(keys) }
    }
    // A map of bundles by trust domain: only the own one counts.
    func lookByMap(_ domains: [String: String]) async throws {
      let entries = domains.map { #""\#($0.key)": {"keys": [\#($0.value)]}"# }.joined(separator: ", ")
      try site.write("map.json", #"{"trust_domains": {\#(entries)}}"#)
      let file = site.file("map.json")
      _ = try await self.look(site.backend { $0.tls.trust = .only(file: file) })
    }
    let foreign = key.replacing(own, with: other)
    try await lookByMap(["plant.example": key, "other.example": foreign])
    for domains in [["plant.example": foreign, "other.example": key], ["other.example": key], ["plant.example": jwt]] {
      await #expect(throws: (any Error).self) { try await lookByMap(domains) }
    }
  }

  @Test(arguments: [
    (["spiffe://td/margo/wfm/f/client/c"], "spiffe://td/margo/wfm/f"), ([], nil), (["https://x"], nil),
  ])
  func `the manager follows from the client's own name`(names: [String], manager: String?) throws {
    #expect(try WorkloadIdentity.manager(ofClientNamed: names) == manager)
  }

  @Test(arguments: [
    ["spiffe://td/margo/wfm/f/client/c", "https://x"], ["spiffe://td/margo/wfm/f"], ["spiffe://td/margo/wfm/f/client/"],
    ["spiffe:///margo/wfm/f/client/c"], ["spiffe://td/margo/wfm/../client/c"], ["spiffe://td/margo/wfm/f/client/c/d"],
    ["spiffe://td/margo/wfm/f%20/client/c"],
  ])
  func `a name that only looks like a client's is refused`(names: [String]) {
    #expect(throws: SourceAddressError.self) { try WorkloadIdentity.manager(ofClientNamed: names) }
  }
}

extension Acknowledgement {
  fileprivate static func installed(_ id: String, version: UInt64) -> Acknowledgement {
    Acknowledgement(
      device: "press-42", revision: nil, adoptedManifestVersion: version, time: Date(),
      outcome: .document(DocumentStatus(documentID: id, state: .installed)))
  }
}
