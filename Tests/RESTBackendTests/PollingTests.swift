import DesiredState
import DesiredStateSupport
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

/// The cost of a poll that finds nothing new, and that it never overlooks news.
@Suite struct `Looking again` {
  /// A poll of a device that has adopted what the poll before found.
  func look(_ backend: RESTBackend, _ current: Revision?, _ marker: String?) async throws -> FetchResult {
    try await backend.fetch(FetchRequest(current: current, marker: marker))
  }

  @Test(
    .timeLimit(.minutes(5)),
    arguments: [
      ("", 304, " etag "), ("etag off;", 304, " last-modified "),
      // Neither: the digest of what came has to tell.
      ("etag off; if_modified_since off; add_header Last-Modified '';", 200, nil),
      ("gzip off;", 304, " etag "),
    ])
  func `costs what the server's validators let it`(directives: String, status: Int, kind: String?) async throws {
    let site = try await DropSite.start()
    try await site.restart(with: directives)
    try site.publish(.version(5))
    let backend = try site.backend()
    let first = try await look(backend, nil, nil)
    guard case .changed(let state) = first.outcome else { throw ChildProcess.Failure(description: "\(first)") }
    if let kind { #expect(first.marker?.contains(kind) == true) } else { #expect(first.marker == nil) }
    // Also after a restart, and as often as one likes.
    var marker = first.marker
    for backend in [backend, try site.backend(), backend] {
      let again = try await look(backend, state.revision, marker)
      guard case .unchanged = again.outcome else { throw ChildProcess.Failure(description: "\(again)") }
      marker = again.marker
      #expect(marker == first.marker)
    }
    let requests = try await site.requests()
    #expect(requests.map(\.status) == [200, 200, status, status, status])
    #expect(requests.dropFirst(2).allSatisfy { $0.path == "/drop/manifest.json" })
    // As if it had nothing, under a new policy: everything, whatever the marker says.
    guard case .changed = try await look(backend, nil, marker).outcome else {
      throw ChildProcess.Failure(description: "unchanged to a device that asked for everything")
    }
  }

  @Test(.timeLimit(.minutes(5))) func `with the marker of another state asks for everything`() async throws {
    let site = try await DropSite.start()
    let backend = try site.backend()
    try site.publish(.version(5))
    let marker = try await look(backend, nil, nil).marker
    // With its own state the marker is one to ask by, and the backend remembers that.
    #expect(try await look(backend, TestPublication.version(5).revision, marker).isUnchanged)
    // Another source, a stick perhaps, has brought another state meanwhile.
    let result = try await look(backend, TestPublication.version(4).revision, marker)
    guard case .changed(let state) = result.outcome else { throw ChildProcess.Failure(description: "\(result)") }
    #expect(state.revision == TestPublication.version(5).revision)
  }

  @Test(.timeLimit(.minutes(5))) func `takes no tag of one query for that of another`() async throws {
    let site = try await HostileSite.start()
    func backend(_ query: String) throws -> RESTBackend {
      try RESTBackend(
        manifest: site.url(.manifest, "tagged,tag=%22same%22") + query, transport: try HTTPTransport())
    }
    let revision = site.publication.revision
    let first = try backend("?device=press")
    let marker = try await look(first, nil, nil).marker
    #expect(marker != nil)
    _ = try await look(first, revision, marker)
    #expect(site.server.log.lowercased().contains("if-none-match: \"same\""))
    let asked = site.server.log
    let result = try await look(try backend("?device=saw"), revision, marker)
    guard case .unchanged = result.outcome else { throw ChildProcess.Failure(description: "\(result)") }
    #expect(!site.server.log.dropFirst(asked.count).lowercased().contains("if-none-match"), "the digest told")
  }

  @Test(.timeLimit(.minutes(5))) func `sees what is published within the same second, under the same tag`() async throws
  {
    let site = try await DropSite.start()
    let backend = try site.backend()
    // nginx makes its ETag of the second and the size.
    let now = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
    func publish(_ publication: TestPublication) throws {
      try site.publish(publication)
      try FileManager.default.setAttributes([.modificationDate: now], ofItemAtPath: site.drop + "/manifest.json")
    }
    try publish(.version(5))
    let first = try await look(backend, nil, nil)
    guard case .changed(let state) = first.outcome else { throw ChildProcess.Failure(description: "\(first)") }
    try publish(.version(6))
    #expect(TestPublication.version(6).manifest.count == state.manifest.count)
    let second = try await look(backend, state.revision, first.marker)
    guard case .changed(let next) = second.outcome else { throw ChildProcess.Failure(description: "\(second)") }
    #expect(next.revision == TestPublication.version(6).revision)
  }

  @Test(.timeLimit(.minutes(5))) func `does not read a refused document again until it has changed`() async throws {
    let site = try await DropSite.start()
    let publication = TestPublication.version(5)
    try site.publish(publication)
    let document = try #require(publication.files.first { $0.part == .document("press") })
    try site.replace(site.drop + "/" + document.path, with: TestPublication.corrupted(document.bytes))
    let agent = try await PollingAgent([try site.backend()])
    func reads() async throws -> Int {
      try await site.requests().filter { $0.method == "GET" && $0.path == "/drop/" + document.path }.count
    }
    for _ in 1...3 {
      guard case .rejected(let error) = try await agent.reconciler.runOnce() else {
        throw ChildProcess.Failure(description: "adopted")
      }
      #expect(error.code == .digestMismatch)
    }
    #expect(try await reads() == 1)
    try site.replace(site.drop + "/" + document.path, with: document.bytes)
    guard case .current = try await agent.reconciler.runOnce() else {
      throw ChildProcess.Failure(description: "refused")
    }
    #expect(try await reads() == 2)
  }
}
