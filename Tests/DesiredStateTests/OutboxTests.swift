import DesiredStateSupport
import Foundation
import Testing

@testable import DesiredState

/// A place where acknowledgements wait until they are taken.
@Suite struct OutboxTests {
  /// Refuses every acknowledgement, and asks for patience.
  private final class Tired: DesiredStateBackend {
    let source = "tired"
    let capabilities: BackendCapabilities = [.acknowledges]
    let count = LockedValue(0)
    let isRetryable: Bool

    init(isRetryable: Bool) { self.isRetryable = isRetryable }

    func fetch(_ request: FetchRequest) async throws -> FetchResult { .absent(.manifest, "nothing is published") }

    func acknowledge(_ acknowledgement: Acknowledgement) async throws {
      count.withLock { $0 += 1 }
      throw BackendError(.rateLimited, "later", isRetryable: isRetryable, retryAfter: .seconds(600))
    }
  }

  /// Notes every acknowledgement, or cannot be reached.
  private final class Scribe: DesiredStateBackend {
    let source = "scribe"
    let capabilities: BackendCapabilities
    let told = LockedValue<[String]>([])
    let isReachable = LockedValue(true)

    init(_ capabilities: BackendCapabilities) { self.capabilities = capabilities }

    func fetch(_ request: FetchRequest) async throws -> FetchResult { .absent(.manifest, "nothing is published") }

    func acknowledge(_ acknowledgement: Acknowledgement) async throws {
      guard isReachable.withLock(\.self) else { throw BackendError(.unreachable, "gone") }
      guard case .document(let status) = acknowledgement.outcome else { return }
      told.withLock { $0.append("\(status.documentID) \(status.state)") }
    }
  }

  private func acknowledgement(
    _ document: String, _ state: DocumentStatus.State, version: UInt64 = 1, at seconds: Double = 0
  ) -> Acknowledgement {
    Acknowledgement(
      device: "press-42", revision: nil, adoptedManifestVersion: version,
      time: Date(timeIntervalSince1970: 1_750_000_000 + seconds),
      outcome: .document(DocumentStatus(documentID: document, state: state)))
  }

  /// Takes the first acknowledgement, and then none until the delivery is cancelled.
  private final class Stuck: DesiredStateBackend {
    let source = "stuck"
    let capabilities: BackendCapabilities = [.acknowledges]
    let count = LockedValue(0)

    func fetch(_ request: FetchRequest) async throws -> FetchResult { .absent(.manifest, "nothing is published") }

    func acknowledge(_ acknowledgement: Acknowledgement) async throws {
      let number = count.withLock { count in
        count += 1
        return count
      }
      if number > 1 { try await Task.sleep(for: .seconds(86_400)) }
    }
  }

  @Test func `what was taken before a delivery was cancelled is told, and the rest waits`() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "outbox-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let outbox = Outbox(ofStore: directory)
    try await outbox.put([acknowledgement("a", .installed), acknowledgement("b", .failed, at: 1)])
    let stuck = Stuck()
    for delivered in [["a"], []] {
      let delivery = Task { try await outbox.deliver(to: [stuck], within: .seconds(86_400)) }
      try await wait { stuck.count.withLock { $0 } == (delivered.isEmpty ? 3 : 2) }
      delivery.cancel()
      let subjects = try? await delivery.value.delivered.map(\.acknowledgement.subject)
      #expect((subjects ?? []) == delivered.map { .document($0) })
      #expect(try await outbox.waiting().map(\.subject) == [.document("b")])
    }
  }

  @Test func `each change of state waits for a recipient that wants it, in order and within bounds`() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "outbox-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let scribe = Scribe([.acknowledgesDocuments, .acknowledgesEachChange])
    scribe.isReachable.withLock { $0 = false }
    // Each time anew, as after a restart; all within one second, and the last after the clock was set back.
    for state in [DocumentStatus.State.pending, .installing, .installing] {
      let outbox = Outbox(ofStore: directory)
      try await outbox.put([acknowledgement("a", state)], keepingChanges: true)
      #expect(try await outbox.deliver(to: [scribe]).delivered.isEmpty)
    }
    let outbox = Outbox(ofStore: directory)
    try await outbox.put(
      [acknowledgement("b", .installed, at: -5), acknowledgement("a", .installed, at: -10)], keepingChanges: true)
    #expect(try await outbox.waiting().count == 4)
    scribe.isReachable.withLock { $0 = true }
    let result = try await outbox.deliver(to: [scribe])
    #expect(result.waiting == 0)
    #expect(scribe.told.withLock { $0.filter { $0.hasPrefix("a") } } == ["a pending", "a installing", "a installed"])
    #expect(try await Outbox(ofStore: directory).waiting().isEmpty)

    // However long the outage, and however restless the device.
    for number in 1...50 {
      try await outbox.put(
        [acknowledgement("a", number.isMultiple(of: 2) ? .installing : .failed, version: UInt64(number))],
        keepingChanges: true)
    }
    try await outbox.put([acknowledgement("a", .installed, version: 51)], keepingChanges: true)
    let waiting = try await outbox.waiting()
    #expect(waiting.map(\.adoptedManifestVersion) == (43...51).map { $0 })
  }

  @Test func `a recipient that wants the newest alone is told no other`() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "outbox-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let outbox = Outbox(ofStore: directory)
    for state in [DocumentStatus.State.pending, .installing, .installed] {
      try await outbox.put([acknowledgement("a", state)], keepingChanges: true)
    }
    let scribe = Scribe([.acknowledgesDocuments])
    let result = try await outbox.deliver(to: [scribe])
    #expect(scribe.told.withLock(\.self) == ["a installed"])
    #expect(result.waiting == 0 && result.delivered.count == 1)
    #expect(try await outbox.waiting().isEmpty)
    for state in [DocumentStatus.State.pending, .installing] { try await outbox.put([acknowledgement("a", state)]) }
    #expect(try await outbox.waiting().count == 1)
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
