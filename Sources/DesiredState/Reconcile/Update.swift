import FoundationEssentials

/// What an agent is asked to bring about: the adopted state, and how it differs from the one applied last.
public struct Update: Sendable {
  /// The adopted revision.
  public let revision: Revision
  /// Its version; nil if the source has none.
  public let version: UInt64?
  /// Where it came from, in its source's own terms.
  public let origin: Origin
  /// Every document of the state, in the publisher's order.
  public let documents: [Document]
  /// Documents that the state applied last did not have.
  public let added: [Document]
  /// Documents whose bytes differ from those applied last.
  public let modified: [Document]
  /// Documents of the state applied last that are no longer wanted.
  ///
  /// A state that was adopted, failed to be applied and was superseded is not among those applied: an agent whose handler
  /// may leave something behind when it throws compares what it runs with ``documents``.
  public let removed: [DocumentReference]
  let reporter: StatusReporter

  /// Tells the orchestrator how far documents have come. The statements are durable when this returns, and are
  /// delivered as soon as a source that takes them can be reached, also while the agent is still at work; only the newest
  /// per document is.
  ///
  /// - Throws: ``FileError`` if they cannot be written to the outbox.
  public func report(_ statuses: DocumentStatus...) async throws { try await reporter.report(statuses) }

  /// The same, for a list.
  public func report(_ statuses: [DocumentStatus]) async throws { try await reporter.report(statuses) }
}

/// Writes statements about one state's documents into the outbox.
struct StatusReporter: Sendable {
  let outbox: Outbox
  let device: String
  let revision: Revision
  let version: UInt64?
  let origin: Origin
  let now: @Sendable () -> Date
  let didReport: @Sendable () -> Void

  func report(_ statuses: [DocumentStatus]) async throws {
    try await outbox.put(
      statuses.map {
        Acknowledgement(
          device: device, revision: revision, adoptedManifestVersion: version, origin: origin, time: now(),
          outcome: .document($0))
      })
    didReport()
  }
}

extension StateStore {
  /// The update that leads from the applied state to the adopted one; nil if there is nothing to apply.
  ///
  /// - Parameters:
  ///   - everything: treat the adopted state as if nothing had been applied before.
  ///   - didReport: called when statements have been put into the outbox.
  /// - Throws: ``StoreError`` with `documentDamaged` if a document or manifest is gone.
  func pendingUpdate(
    everything: Bool, device: String, now: @escaping @Sendable () -> Date, didReport: @escaping @Sendable () -> Void
  ) throws -> Update? {
    guard let adopted = record.adopted, everything || record.applied?.revision != adopted.revision else { return nil }
    let documents = try manifest(of: adopted.revision).documents.map { reference in
      guard let size = try blobs.repairedSize(of: reference.digest) else {
        throw StoreError(.documentDamaged, "document '\(reference.id)' is gone from \(path); it is fetched again")
      }
      return Document(
        id: reference.id, digest: reference.digest, size: size, path: blobs.path(of: reference.digest), worker: reader)
    }
    // Without the applied manifest nothing is known about what is there; then all of it is added.
    let before = everything ? [] : record.applied.flatMap { try? manifest(of: $0.revision).documents } ?? []
    let known = Dictionary(before.map { ($0.id, $0.digest) }) { first, _ in first }
    let wanted = Set(documents.map(\.id))
    return Update(
      revision: adopted.revision, version: adopted.version, origin: adopted.origin, documents: documents,
      added: documents.filter { known[$0.id] == nil },
      modified: documents.filter { known[$0.id].map { [digest = $0.digest] in $0 != digest } ?? false },
      removed: before.filter { !wanted.contains($0.id) },
      reporter: StatusReporter(
        outbox: outbox, device: device, revision: adopted.revision, version: adopted.version,
        origin: adopted.origin, now: now, didReport: didReport))
  }
}
