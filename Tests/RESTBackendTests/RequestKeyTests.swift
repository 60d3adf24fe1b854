import DesiredState
import Foundation
import HTTPMessageSignatures
import HTTPTypes
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

@Suite("The key that signs requests", .timeLimit(.minutes(5))) struct RequestKeyTests {
  /// Whether the newest request was signed by a key.
  private func isSigned(_ site: MargoSite, by key: HTTPSigningKey) throws -> Bool {
    let request = try #require(site.requests.last)
    var fields: HTTPFields = [:]
    for name in ["Content-Digest", "Signature", "Signature-Input"] {
      fields[HTTPField.Name(name)!] = request.fields[name.lowercased()]
    }
    let received = HTTPRequest(
      method: .get, scheme: "http", authority: request.fields["host"], path: request.path, headerFields: fields)
    let verification = try HTTPVerificationKey(pem: key.publicKeyPEM!)
    let signature = try? HTTPSignedMessage.request(received).verifySignature(
      .init(components: [.method, .targetURI]), at: Date()
    ) { _ in verification }
    return signature != nil
  }

  @Test("is read again when it is renewed, and goes on as long as the new one is half there")
  func renewed() async throws {
    let site = try await MargoSite.start(isSecure: false)
    try site.publish(MargoState(version: 1, [:]) { "/api/v1/clients/client-7/deployments/\($0)/\($1)" })
    let folder = TemporaryDirectory()
    let pems = try ["wfm-client", "client"].map {
      try String(contentsOfFile: site.certificates.key($0), encoding: .utf8)
    }
    let keys = try pems.map { try HTTPSigningKey(pem: $0) }
    try write(pems[0], to: folder["key"])
    var registry = BackendRegistry()
    MargoBackend.register(in: &registry)
    let backend = try registry.backend(
      for: "margo+\(site.base)?client=client-7",
      context: BackendContext(device: "press-42", settings: BackendSettings { $0[.requestKey] = folder["key"] }))
    func ask() async throws { _ = try await backend.fetch(FetchRequest()) }
    try await ask()
    #expect(try isSigned(site, by: keys[0]))
    // Being written: a part of it is no key.
    try write(String(pems[1].prefix(80)), to: folder["key"])
    let end = ContinuousClock.now + .milliseconds(250)
    while ContinuousClock.now < end {
      try await ask()
      #expect(try isSigned(site, by: keys[0]))
    }
    try write(pems[1], to: folder["key"])
    try await until("a request is signed by the new key") {
      try await ask()
      return try isSigned(site, by: keys[1])
    }
  }
}
