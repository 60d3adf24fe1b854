import DesiredState
import DesiredStateTesting
import EtcdBackend
import Foundation
import Synchronization
import Testing

@Suite("An agent that follows etcd", .timeLimit(.minutes(5)))
struct EndToEndTests {
  private static let signer = Conformance.signer

  /// Everything that happens to an agent, in order.
  private struct Happenings {
    private var iterator: AsyncStream<ReconcilerEvent>.Iterator
    init(_ events: AsyncStream<ReconcilerEvent>) { iterator = events.makeAsyncIterator() }

    /// Skips what happened until the first event that `pick` finds something in, and returns that.
    mutating func next<Found>(_ pick: (ReconcilerEvent) -> Found?) async throws -> Found {
      while let event = await iterator.next() {
        if let found = pick(event) { return found }
      }
      throw CancellationError()
    }
  }

  @Test("A publication is adopted at once, because etcd hints at it, and the receipts are in etcd")
  func adoption() async throws {
    let fixture = try await EtcdFixture()
    let store = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)")
    let (events, continuation) = AsyncStream.makeStream(of: ReconcilerEvent.self)
    let reconciler = Reconciler(
      sources: [try await fixture.makeBackend()], store: try await StateStore.open(store.path),
      // Whatever happens below happens because of a hint.
      configuration: .init(policy: fixture.trust, device: "press-42", schedule: Schedule(interval: .seconds(3600))),
      observe: { continuation.yield($0) },
      apply: { update in
        try await update.report(
          (update.added + update.modified).map { DocumentStatus(documentID: $0.id, state: .installed) })
        try await update.report(update.removed.map { DocumentStatus(documentID: $0.id, state: .removed) })
      })
    let running = Task { await reconciler.run() }

    var happenings = Happenings(events)
    try await happenings.next { if case .absent = $0.kind { () } else { nil } }
    try await fixture.publish(
      TestPublication(version: 1, documents: ["press": Array("recipe: 7".utf8)], signers: [Self.signer]))
    let first = try await happenings.next { if case .applied(let update) = $0.kind { update } else { nil } }
    #expect(first.version == 1)
    #expect(try await first.added.first?.contents() == Array("recipe: 7".utf8))

    try await fixture.publish(
      TestPublication(version: 2, documents: ["saw": Array("blade: 3".utf8)], signers: [Self.signer]))
    // The agent's work and the delivery of its reports go on side by side: either may be seen first.
    var second: Update?
    var isReported = false
    while second == nil || !isReported {
      try await happenings.next { event -> Void? in
        switch event.kind {
        case .applied(let update): second = update
        case .acknowledged(let acknowledgement)
        where acknowledgement.adoptedManifestVersion == 2 && acknowledgement.subject == .document("press"):
          isReported = true
        default: return nil
        }
        return ()
      }
    }
    #expect(second?.version == 2)
    #expect(second?.removed.map(\.id) == ["press"])
    running.cancel()
    await running.value
    let receipts = try await Set(fixture.receivedAcknowledgements())
    #expect(
      receipts.isSuperset(of: [
        ReceivedAcknowledgement(subject: .state, state: "adopted"),
        ReceivedAcknowledgement(subject: .document("press"), state: "removed"),
      ]))
    await fixture.tearDown()
    try FileManager.default.removeItem(at: store)
  }

  @Test("The watch is begun anew when etcd was gone, and ends when nobody listens") func watchAgain() async throws {
    let fixture = try await EtcdFixture()
    try await listen(to: try await fixture.makeBackend()) { hints in
      _ = await hints.next()
      try await fixture.makeUnreachable()
      try await fixture.makeReachable()
      #expect(await hints.next() != nil)
    }
    while try await fixture.etcd.watcherCount() > 0 { await Task.yield() }
    await fixture.tearDown()
  }

  private func listen(
    to backend: any DesiredStateBackend, _ work: (inout AsyncStream<Void>.Iterator) async throws -> Void
  ) async throws {
    var hints = try #require(backend.changeHints()).makeAsyncIterator()
    try await work(&hints)
  }

  @Test("A host that does not even answer to say no is given up in time") func silence() async throws {
    // A queue for connections that is full and never emptied: Linux drops what comes then, and a client that
    // connects tries again and again.
    let full = try FullSocket()
    let backend = try EtcdBackend(SourceAddress("etcd+http://127.0.0.1:\(full.port)/plant"))
    let began = ContinuousClock.now
    let error = await #expect(throws: BackendError.self) {
      try await backend.fetch(FetchRequest(timeout: .milliseconds(300)))
    }
    #expect(error?.code == .timeout)
    #expect(ContinuousClock.now - began < .seconds(5))
  }
}

@Suite("The address of an etcd source") struct AddressTests {
  private func source(_ address: String) throws -> String {
    var registry = BackendRegistry()
    EtcdBackend.register(in: &registry)
    return try registry.backend(for: address, context: BackendContext(device: "press-42")).source
  }

  @Test(
    "is named in one way, however it is written",
    arguments: [
      ("etcd+http://etcd.example/plant", "etcd+http://etcd.example:2379/plant/"),
      ("ETCD+HTTP://etcd.example:42/plant/press%2042/", "etcd+http://etcd.example:42/plant/press 42/"),
      ("etcd+http://[::1]:42/plant", "etcd+http://[::1]:42/plant/"),
    ]) func name(address: String, source: String) throws
  {
    #expect(try self.source(address) == source)
  }

  @Test(
    "is refused, without being shown, if it cannot be honoured in full",
    arguments: [
      "etcd+http:", "etcd+http://etcd.example", "etcd+http://etcd.example/", "etcd+http:///plant",
      "etcd+http://user:secret@etcd.example/plant", "etcd+http://etcd.example/plant?token=secret",
    ]) func refusal(address: String) throws
  {
    let error = #expect(throws: SourceAddressError.self) { try source(address) }
    #expect(error?.description.contains("secret") == false)
  }
}
