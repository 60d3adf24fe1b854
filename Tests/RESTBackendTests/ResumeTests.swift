import DesiredState
import DesiredStateTesting
import Foundation
import HTTPTestSupport
import HTTPTransport
import RESTBackend
import RESTTestSupport
import TestSupport
import Testing

@Suite("Documents over lines that break", .timeLimit(.minutes(2))) struct ResumeTests {
  static let size = 1_000_000
  static let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 12) }

  func site() async throws -> HostileSite {
    try await HostileSite.start(TestPublication(version: 5, documents: ["large": Self.content], withSizes: true))
  }

  /// The ranges that documents were asked for, in order; "" for all of one.
  func ranges(_ site: HostileSite) -> [String] {
    site.server.log.components(separatedBy: "\n\n").filter { $0.contains("/documents/sha256-") }.map { head in
      head.split(separator: "\n").first { $0.lowercased().hasPrefix("range:") }.map { String($0.dropFirst(7)) } ?? ""
    }
  }

  @Test("One is continued where it broke off, on the same validator")
  func continued() async throws {
    let site = try await site()
    let backend = try site.backend(.documents, "breaking,every=300000")
    #expect(backend.capabilities.contains(.resumes))
    #expect(try await backend.sight() == .all(of: site.publication))
    let ranges = ranges(site)
    #expect(ranges.first == "" && ranges.count == 4, "\(ranges)")
    #expect(site.server.log.components(separatedBy: "If-Range: \"strong\"").count == 4)
    // Nothing came twice, but for what was on its way when the line broke.
    let starts = ranges.dropFirst().compactMap { Int($0.dropFirst(6).dropLast()) }
    #expect(starts == starts.sorted() && starts.count == 3, "\(ranges)")
  }

  @Test("A server that sends no parts is asked again only a few times")
  func withoutRanges() async throws {
    let site = try await site()
    let error = try await site.backend(.documents, "breaking,every=300000,ranges=none").unavailability()
    #expect(error.isRetryable, "\(error)")
    #expect(ranges(site).count <= 4)
  }

  @Test("One is read from an offset, by servers that can and by those that cannot")
  func offsets() async throws {
    let site = try await site()
    for behaviour in ["breaking,every=9000000", "file"] {
      let result = try await site.backend(.documents, behaviour).fetch(FetchRequest())
      let state = try #require(result.state)
      let document = try #require(try StateManifest(parsing: state.manifest).documents.first)
      for offset in [0, 1, 500_000, Self.size - 1] {
        let bytes = try await collect(state.documents.open(document, from: UInt64(offset)))
        #expect(bytes == Array(Self.content[offset...]), "\(behaviour) \(offset)")
      }
    }
  }
}
