import Foundation
import Synchronization
import Testing

@testable import DesiredState

/// A place where acknowledgements wait until they are taken.
@Suite struct OutboxTests {
  /// Refuses every statement, and asks for patience.
  private final class Tired: DesiredStateBackend {
    let source = "tired"
    let capabilities: BackendCapabilities = [.acknowledges]
    let count = Mutex(0)
    let isRetryable: Bool

    init(isRetryable: Bool) { self.isRetryable = isRetryable }

    func fetch(_ request: FetchRequest) async throws -> FetchResult { .absent(.manifest, "nothing is published") }

    func acknowledge(_ acknowledgement: Acknowledgement) async throws {
      count.withLock { $0 += 1 }
      throw BackendError(.rateLimited, "later", isRetryable: isRetryable, retryAfter: .seconds(600))
    }
  }

  @Test(arguments: [true, false]) func `who asks for patience is left alone for so long`(isRetryable: Bool) async throws
  {
    let directory = FileManager.default.temporaryDirectory.appending(path: "outbox-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let outbox = Outbox(ofStore: directory)
    let now = Date(timeIntervalSince1970: 1_750_000_000)
    try await outbox.put([
      Acknowledgement(
        id: "1", device: "press-42", revision: nil, adoptedManifestVersion: nil, time: now,
        outcome: .document(DocumentStatus(documentID: "press", state: .installed)))
    ])
    let tired = Tired(isRetryable: isRetryable)
    for (passed, count) in [(0.0, 1), (1, 1), (599, 1), (601, 2)] {
      let result = try await outbox.deliver(to: [tired], at: now + passed)
      #expect(result.delivered.isEmpty)
      #expect(tired.count.withLock { $0 } == count, "after \(passed) s")
    }
    #expect(try await outbox.waiting().count == 1)
  }
}
