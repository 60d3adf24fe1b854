import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

/// Who is believed, and who may be asked at all.
@Suite struct `A drop over HTTP` {
  @Test(
    .timeLimit(.minutes(5)),
    arguments: [NginxServer.Site.untrusted, .expired, .otherHost, .future, .tls12])
  func `is not read from a server that cannot prove who it is`(way: NginxServer.Site) async throws {
    let site = try await DropSite.start(way)
    let error = try await site.backend().unavailability()
    #expect(error.code == .tlsUntrusted && !error.isRetryable, "\(error)")
    #expect(error.message.split(separator: " ").count > 5)
  }

  @Test(.timeLimit(.minutes(5))) func `that wants a certificate says so to a device without one`() async throws {
    let site = try await DropSite.start()
    let error = try await site.backend { $0.tls.clientCertificate = nil }.unavailability()
    #expect(error.code == .unauthorized && error.message.contains("the client certificate"), "\(error)")
  }

  @Test(.timeLimit(.minutes(5))) func `that wants a token says so, and shows none`() async throws {
    let site = try await DropSite.start()
    for token in [nil, "a-wrong-token"] {
      let backend = try site.backend {
        $0.credentials = try token.map {
          HTTPCredentials(.bearer(HTTPSecret($0)), for: try HTTPOrigin(of: site.manifestURL))
        }
      }
      let error = try await backend.unavailability()
      #expect(error.code == .unauthorized && !error.isRetryable, "\(error)")
      var dumped = ""
      dump(error, to: &dumped)
      #expect(!dumped.contains("a-wrong-token"))
    }
  }

  @Test func `in the clear is read from this machine only, unless allowed by name`() throws {
    let transport = try HTTPTransport()
    for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
      _ = try RESTBackend(manifest: "http://\(host)/manifest.json", transport: transport)
    }
    for host in ["plant.example", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]"] {
      let error = #expect(throws: SourceAddressError.self) {
        try RESTBackend(manifest: "http://\(host)/manifest.json", transport: transport)
      }
      #expect(error?.description.contains("plain HTTP to other machines") == true)
      _ = try RESTBackend(manifest: "http://\(host)/manifest.json", transport: transport, allowsPlainHTTP: true)
      // Nor are receipts sent there.
      #expect(throws: SourceAddressError.self) {
        try RESTBackend(
          manifest: "https://plant.example/manifest.json", receipts: "http://\(host)/r", transport: transport)
      }
    }
  }

  @Test func `is named without what may be secret`() throws {
    let transport = try HTTPTransport()
    let backend = try RESTBackend(manifest: "https://plant.example/d/manifest.json?sig=s3cret#x", transport: transport)
    #expect(backend.source == "https://plant.example:443/d/manifest.json")
    let error = #expect(throws: SourceAddressError.self) {
      try RESTBackend(manifest: "https://ops:s3cret@plant.example/manifest.json", transport: transport)
    }
    #expect(error?.description.contains("s3cret") == false)
  }

  @Test func `vouches for no state that it did not fetch`() async throws {
    let state = FetchedState(
      manifest: TestPublication.version(1).manifest, signatures: [], documents: NoDocuments())
    let verifier = Verifier(policy: .channel, device: "press-42", now: Date())
    let backend = try RESTBackend(manifest: "https://plant.example/manifest.json", transport: try HTTPTransport())
    let error = await #expect(throws: VerificationError.self) { try await backend.verify(state, with: verifier) }
    #expect(error?.code == .signatureMissing)
  }

  @Test(.timeLimit(.minutes(5))) func `comes with the channel that gave it, and with its origin`() async throws {
    let site = try await DropSite.start()
    let publication = TestPublication.version(1)
    try site.publish(publication)
    let backend = try site.backend()
    let result = try await backend.fetch(FetchRequest())
    let state = try #require(result.state)
    let verifier = Verifier(policy: .channel, device: "press-42", now: Date())
    #expect(try await backend.verify(state, with: verifier).channels == ["TLS to https://localhost:\(site.port)"])
    #expect(state.origin.url == site.manifestURL)
    #expect(state.origin.entityTag != nil && state.origin.time != nil)
    // Other bytes did not come over that channel.
    let other = state.replacing(manifest: TestPublication.version(2).manifest)
    let error = await #expect(throws: VerificationError.self) { try await backend.verify(other, with: verifier) }
    #expect(error?.code == .signatureMissing)
  }

  private struct NoDocuments: DocumentReader {
    func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> { DocumentBytes([]) }
  }
}
