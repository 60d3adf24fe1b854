import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

@Suite("A manifest that changes without its tag", .timeLimit(.minutes(5))) struct FullPollTests {
  @Test("is seen by the next full poll, and the marker moves no sooner")
  func sameTag() async throws {
    let site = try await HostileSite.start()
    let url = site.url(.manifest, "tagged,tag=%22same%22")
    func backend(_ interval: Duration) throws -> RESTBackend {
      try RESTBackend(manifest: url, transport: try HTTPTransport(), fullPollInterval: interval)
    }
    let first = try await backend(.seconds(3600)).fetch(FetchRequest())
    let current = try #require(first.state).revision
    let next = TestPublication.version(6)
    try next.write(to: site.directory.path)
    let request = FetchRequest(current: current, marker: first.marker)
    let unchanged = try await backend(.seconds(3600)).fetch(request)
    #expect(unchanged.isUnchanged && unchanged.marker == first.marker)
    #expect(try await backend(.zero).fetch(request).state?.revision == next.revision)
  }

  @Test("is looked at again where two sources show the same tag for different bytes")
  func fingerprints() async throws {
    let site = try await DropSite.start()
    try site.publish(.version(5))
    func fingerprint(_ host: String) async throws -> String? {
      let origin = try HTTPOrigin(of: site.url("", host: host))
      let transport = try site.transport { $0.credentials?.origin = origin }
      let backend = try RESTBackend(manifest: site.url("manifest.json", host: host), transport: transport)
      let state = try #require(try await backend.fetch(FetchRequest()).state)
      let document = try #require(try StateManifest(parsing: state.manifest).documents.first)
      return await state.documents.fingerprint(of: document)
    }
    let one = try await fingerprint("localhost")
    #expect(one != nil)
    #expect(try await fingerprint("127.0.0.1") != one)
  }
}
