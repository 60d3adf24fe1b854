import DesiredState
import Foundation
import HTTPTransport
import HTTPTypes
import Testing

@testable import ReferenceServer

@Suite(.timeLimit(.minutes(2))) struct FaultTests {
  private let path = "/api/v1/clients/press-42/deployments"

  private func withSite(_ body: @escaping @Sendable (TestSite, ServedManifest) async throws -> Void) async throws {
    try await TestSite.run { site async throws in
      try site.write("press.yaml", "recipe: 1\n")
      _ = try await site.get(path)
      try site.write("press.yaml", "recipe: 2\n")
      try await body(site, try site.get(path).json())
    }
  }

  @Test(arguments: [("rate-limited", 429), ("unavailable", 503)])
  func `a busy server says when to come back`(fault: String, status: Int) async throws {
    try await withSite { site, manifest async throws in
      try await site.faults("[{\"fault\": \"\(fault)\", \"seconds\": 7}]")
      for path in [path, manifest.deployments[0].url] {
        let answer = try await site.get(path)
        #expect(answer.status == status)
        #expect(answer[.retryAfter] == "7")
        #expect(try answer.json(TestSite.ProblemDetails.self).retryAfterSeconds == 7)
      }
      #expect(try await site.send(.delete, "/admin/faults").status == 204)
      #expect(try await site.get(path).status == 200)
    }
  }

  @Test func `a redirect leads where it was told`() async throws {
    try await withSite { site, _ async throws in
      try await site.faults("[{\"fault\": \"redirect\", \"on\": \"manifest\"}]")
      let answer = try await site.get(path)
      #expect(answer.status == 307 && answer[.location] == "https://elsewhere.invalid\(path)")
      try await site.faults("[{\"fault\": \"redirect\", \"location\": \"http://127.0.0.1:1/\"}]")
      #expect(try await site.get(path)[.location] == "http://127.0.0.1:1/")
    }
  }

  @Test func `a manifest of before, and one with other bytes of the same version`() async throws {
    try await withSite { site, manifest async throws in
      try await site.faults("[{\"fault\": \"rollback\"}]")
      let old = try await site.get(path, [.ifNoneMatch: "\"\(Digest.of(Array("x".utf8)))\""])
      #expect(try old.json(ServedManifest.self).manifestVersion == 1)
      try await site.faults("[{\"fault\": \"equivocation\"}]")
      let other = try await site.get(path)
      #expect(try other.json(ServedManifest.self).manifestVersion == 2)
      #expect(try other.json(ServedManifest.self) != manifest)
      #expect(other[.eTag] == "\"\(Digest.of(other.body))\"")
      #expect(try await site.get(path).body == other.body, "the same other bytes each time")
    }
  }

  @Test func `artifacts that are not there, or not what their digest says`() async throws {
    try await withSite { site, manifest async throws in
      let deployment = manifest.deployments[0]
      let bundle = try #require(manifest.bundle)
      try await site.faults("[{\"fault\": \"missing\"}]")
      #expect(try await site.get(deployment.url).status == 404)
      #expect(try await site.get(bundle.url).status == 404)
      #expect(try await site.get(path).status == 200)
      try await site.faults("[{\"fault\": \"wrong-digest\"}]")
      for (url, digest) in [(deployment.url, deployment.digest), (bundle.url, bundle.digest)] {
        let answer = try await site.get(url)
        #expect(answer.status == 200)
        #expect("\(Digest.of(answer.body))" != digest)
        #expect(answer[.eTag] == "\"\(digest)\"", "only the bytes are wrong")
      }
    }
  }

  @Test func `a body that ends too soon`() async throws {
    try await withSite { site, manifest async throws in
      for url in [path, manifest.deployments[0].url, manifest.bundle?.url ?? ""] {
        try await site.faults("[{\"fault\": \"truncated\"}]")
        let error = await #expect(throws: HTTPTransportError.self) { _ = try await site.get(url) }
        #expect(error?.code == .truncated, "\(url): \(String(describing: error))")
        try await site.faults("[]")
        #expect(try await site.get(url).status == 200)
      }
    }
  }

  @Test func `an answer that takes its time, and one that comes in drops`() async throws {
    try await withSite { site, manifest async throws in
      let clock = ContinuousClock()
      try await site.faults("[{\"fault\": \"late\", \"seconds\": 0.4}]")
      let late = try await clock.measure { _ = try await site.get(path) }
      #expect(late >= .milliseconds(400))
      try await site.faults("[{\"fault\": \"drip\", \"bytesPerSecond\": 20}]")
      let start = clock.now
      #expect(try await site.get(manifest.deployments[0].url).text == "recipe: 2\n")
      #expect(clock.now - start >= .milliseconds(450), "ten bytes at twenty a second")
    }
  }

  @Test func `a fault is for whom, for what and for how often it says`() async throws {
    try await withSite { site, manifest async throws in
      try site.write("press.yaml", "recipe: 1\n", client: "press-43")
      let other = "/api/v1/clients/press-43/deployments"
      try await site.faults(
        "[{\"fault\": \"unavailable\", \"client\": \"press-43\", \"requests\": 2, \"on\": \"manifest\"}]")
      #expect(try await site.get(path).status == 200)
      #expect(try await site.get(other).status == 503)
      let url = try #require(manifest.deployments.first?.url).replacing("press-42", with: "press-43")
      #expect(try await site.get(url).status == 404, "published for press-42 alone, and no fault of the switchboard")
      let left = try await site.get("/admin/faults").json([Fault].self)
      #expect(left.map(\.requests) == [1])
      #expect(try await site.get(other).status == 503)
      #expect(try await site.get(other).status == 200)
      #expect(try await site.get("/admin/faults").json([Fault].self).isEmpty)
    }
  }

  @Test func `the switchboard takes only what it can do`() async throws {
    try await TestSite.run { site async throws in
      for (body, status) in [
        ("nonsense", 400), ("{}", 422), ("[{}]", 422), ("[{\"fault\": \"earthquake\"}]", 422),
        ("[{\"fault\": \"rollback\", \"on\": \"document\"}]", 422), ("[{\"fault\": \"late\", \"requests\": 0}]", 422),
        ("[{\"fault\": \"late\", \"seconds\": -1}]", 422), ("[{\"fault\": \"drip\", \"bytesPerSecond\": 0}]", 422),
      ] {
        #expect(try await site.send(.put, "/admin/faults", body: body).status == status, "\(body)")
      }
      #expect(try await site.get("/admin/faults").json([Fault].self).isEmpty)
    }
  }

  @Test func `the admin API is not on the port that agents reach`() async throws {
    try await TestSite.run { site async throws in
      // An absolute path that the test's client does not take for the admin port's.
      #expect(try await site.send(.get, "//admin/faults", isDescribed: false).status == 404)
      #expect(try await site.send(.get, "/./admin/statuses", isDescribed: false).status == 404)
    }
  }
}
