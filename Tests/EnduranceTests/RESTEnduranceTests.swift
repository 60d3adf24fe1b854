import DesiredState
import DesiredStateTesting
import Foundation
import Glibc
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

@Suite(.serialized) struct RESTEnduranceTests {
  @Test(.timeLimit(.minutes(5)), arguments: ["stall", "silent"], HostileSite.Target.allCases)
  func `Cancelling a follow in the middle of a stalled download ends it within 200 ms`(
    behaviour: String, target: HostileSite.Target
  ) async throws {
    let site = try await HostileSite.start()
    let agent = try await PollingAgent([try site.backend(target, behaviour)])
    let following = Task { await agent.reconciler.run() }
    try await until("the request has come") { site.server.log.contains("/\(behaviour)/\(target.rawValue)") }
    let began = ContinuousClock.now
    following.cancel()
    await following.value
    let time = ContinuousClock.now - began
    #expect(time < .milliseconds(200), "\(time)")
    measured("cancelling a \(behaviour) of \(target): \(time)")
  }

  @Test(.timeLimit(.minutes(3))) func `500 polls leave descriptors, threads and memory level`() async {
    _ = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let site = try await DropSite.start()
      let publication = TestPublication.version(5)
      try site.publish(publication)
      let agent = try await PollingAgent([try site.backend()])
      func poll(_ count: Int) async throws {
        for _ in 0..<count {
          guard case .current = try await agent.reconciler.runOnce() else {
            throw ChildProcess.Failure(description: "no")
          }
        }
      }
      try await poll(100)
      let before = Holdings()
      try await poll(500)
      let after = Holdings()
      #expect(after.descriptors <= before.descriptors, "\(before); \(after)")
      #expect(after.threads <= before.threads + 1, "\(before); \(after)")
      #expect(!Holdings.countsMemory || after.memory - before.memory < 2 << 10, "\(before); \(after)")
      let requests = try await site.requests()
      #expect(requests.filter { $0.status == 304 }.count == 599, "one conditional request a poll")
      #expect(Set(requests.map(\.connection)).count == 1)
    }
  }

  @Test(.timeLimit(.minutes(3))) func `A document of a gibibyte takes no more memory than a small one`() async {
    _ = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let site = try await DropSite.start()
      let digest = try Digest(parsing: "sha256:49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14")
      let manifest = StateManifest(
        version: 1,
        documents: [
          DocumentReference(id: "large", digest: digest, advisorySize: 1 << 30, url: "documents/\(digest.fileName)")
        ]
      ).encoded()
      try site.publish(
        TestPublication(version: 1, documents: [:], manifest: manifest, signatures: TestSigner().sign(manifest)))
      try site.replace(site.drop + "/documents/\(digest.fileName)", with: [])
      truncate(site.drop + "/documents/\(digest.fileName)", 1 << 30)
      try await site.restart(with: "gzip off;")
      let backend = try site.backend()
      guard case .changed(let state) = try await backend.fetch(FetchRequest()).outcome else { return }
      let verified = try await backend.verify(
        state, with: Verifier(policy: TestSigner.policy([TestSigner()]), device: "press-42", now: Date()))
      let before = Holdings()
      var count = 0
      for try await piece in try await verified.open(verified.manifest.documents[0]) { count += piece.count }
      let after = Holdings()
      #expect(count == 1 << 30)
      #expect(!Holdings.countsMemory || after.peakMemory - before.peakMemory < 24 << 10, "\(before); \(after)")
    }
  }
}
