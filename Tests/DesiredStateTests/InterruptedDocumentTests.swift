import DesiredState
import DesiredStateSupport
import DesiredStateTesting
import Foundation
import TestSupport
import Testing

@Suite("Documents that break off") struct InterruptedDocumentTests {
  static let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }

  /// Its documents break off after so many bytes of each reading, and can be continued.
  final class Breaking: DesiredStateBackend, DocumentReader {
    let source = "breaking"
    let capabilities: BackendCapabilities = [.resumes]
    let offsets = LockedValue<[UInt64]>([])
    let every = LockedValue(1_200_000)

    func fetch(_ request: FetchRequest) async throws -> FetchResult {
      let manifest = StateManifest(
        version: 1, documents: [DocumentReference(id: "large", digest: Digest.of(InterruptedDocumentTests.content))])
      return .changed(FetchedState(manifest: manifest.encoded(), signatures: [], documents: self))
    }

    func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
      try await open(document, from: 0)
    }

    func open(
      _ document: DocumentReference, from offset: UInt64
    ) async throws -> any AsyncSequence<[UInt8], any Error> {
      offsets.withLock { $0.append(offset) }
      let rest = InterruptedDocumentTests.content[Int(offset)...]
      let part = rest.prefix(every.withLock { $0 })
      return AsyncThrowingStream { continuation in
        for start in stride(from: part.startIndex, to: part.endIndex, by: 100_000) {
          continuation.yield(Array(part[start..<min(start + 100_000, part.endIndex)]))
        }
        continuation.finish(throwing: part.count < rest.count ? BackendError(.unreachable, "the line broke") : nil)
      }
    }
  }

  @Test("The next poll goes on where the one before stopped, also after a restart")
  func continued() async throws {
    let agent = Agent()
    let backend = Breaking()
    #expect(try await agent.cycle([backend], policy: .unsigned).word == "unavailable unreachable")
    #expect(try await agent.cycle([backend], policy: .unsigned).word == "unavailable unreachable")
    #expect(try await agent.cycle([backend], policy: .unsigned).word == "current")
    #expect(backend.offsets.withLock { $0 } == [0, 1_200_000, 2_400_000])
    #expect(try FileManager.default.contentsOfDirectory(atPath: agent.path + "/incoming") == [])
  }

  @Test("What was kept and is not the beginning of the document after all is read again")
  func damagedHead() async throws {
    let agent = Agent()
    let backend = Breaking()
    #expect(try await agent.cycle([backend], policy: .unsigned).word == "unavailable unreachable")
    let draft = agent.path + "/incoming/" + Digest.of(Self.content).fileName
    let bytes = try #require(FileManager.default.contents(atPath: draft))
    try FileManager.default.removeItem(atPath: draft)
    try Data(bytes.map { $0 ^ 1 }).write(to: URL(fileURLWithPath: draft))
    backend.every.withLock { $0 = .max }
    #expect(try await agent.cycle([backend], policy: .unsigned).word == "current")
    #expect(backend.offsets.withLock { $0 } == [0, 1_200_000, 0])
  }
}
