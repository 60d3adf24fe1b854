import FoundationEssentials
import Synchronization

extension StateStore {
  /// Makes a verified state durable, and the adopted one.
  ///
  /// Runs where it is called, which must be a ``BlockingThread``; only the change of the record is the actor's own.
  /// Documents that are not held are read, checked and put aside; one sync later all are moved in place, and only then
  /// the record changes. Interrupted anywhere before that, the old state is the adopted one.
  ///
  /// - Parameters:
  ///   - source: where the state came from.
  ///   - marker: the source's marker for it.
  ///   - policy: the policy it was verified under.
  ///   - time: now, by the device's clock.
  ///   - limits: how much all documents together may hold.
  ///   - progress: counts the pieces read, for whoever watches that reading does not stall.
  /// - Throws: ``VerificationError`` if a document is missing, wrong or too large; ``BackendError``; ``FileError``;
  ///   `CancellationError`. Documents already read stay, so that the next try need not read them again.
  nonisolated func adopt(
    _ state: VerifiedState, source: String, marker: String?, policy: TrustPolicy, at time: Date, limits: Limits,
    progress: ReadingProgress = ReadingProgress()
  ) async throws {
    var total: UInt64 = 0
    var missing: [DocumentReference] = []
    var seen: Set<Digest> = []
    for document in state.manifest.documents where seen.insert(document.digest).inserted {
      progress.advance()
      if let size = try blobs.repairedSize(of: document.digest) {
        total += size
      } else {
        missing.append(document)
      }
    }
    var drafted: [Digest] = []
    do {
      for document in state.readingOrder(of: missing) {
        total += try await draft(document, of: state, atMost: limits.totalSize, alreadyHeld: total, progress)
        drafted.append(document.digest)
      }
    } catch {
      // What was read is right; only this one is not. Kept, so that another try reads the rest only. Whoever was
      // cancelled may no longer be waited for, and touches nothing that a later adoption may be at.
      if !Task.isCancelled { try blobs.commit(drafted) }
      throw error
    }
    progress.finish()
    if try blobs.repairedSize(of: state.revision.digest) == nil {
      try blobs.draft(state.revision.digest).write(state.manifestBytes)
      drafted.append(state.revision.digest)
    }
    try blobs.commit(drafted)
    try Task.checkCancellation()
    try await record(state, source: source, marker: marker, policy: policy, at: time)
  }

  private func record(
    _ state: VerifiedState, source: String, marker: String?, policy: TrustPolicy, at time: Date
  ) throws {
    let kept = kept(after: state.revision)
    try change { record in
      record.adopted = AdoptedState(
        revision: state.revision, version: state.manifest.version, signers: state.signers, source: source,
        origin: state.origin, hasHistory: state.hasHistory, at: time, expires: state.manifest.expires,
        issued: state.manifest.issued, policy: policy.fingerprint)
      if let version = state.manifest.version {
        record.floor = VersionFloor(version: version, revision: state.revision)
      }
      if let issued = state.manifest.issued, !state.signers.isEmpty {
        record.newestSigned = max(record.newestSigned ?? issued, issued)
      }
      record.refused = nil
      record.revokedSigners = nil
      record.kept = kept
      record.markers[source] = marker
    }
    try collectGarbage()
  }

  nonisolated private func draft(
    _ document: DocumentReference, of state: VerifiedState, atMost limit: UInt64, alreadyHeld: UInt64,
    _ progress: ReadingProgress
  ) async throws -> UInt64 {
    do {
      let draft = try blobs.draft(document.digest)
      var size: UInt64 = 0
      var bytes = try await state.open(document).makeAsyncIterator()
      while let chunk = try await bytes.next() {
        try Task.checkCancellation()
        progress.advance()
        size += UInt64(chunk.count)
        guard alreadyHeld + size <= limit else {
          throw VerificationError(.limitExceeded, "the documents are larger than \(limit) bytes in all")
        }
        try draft.write(chunk)
      }
      progress.advance()
      return size
    } catch {
      blobs.discard(document.digest)
      throw error
    }
  }
}

/// Counts pieces of documents as they arrive.
final class ReadingProgress: Sendable {
  private let pieces = Atomic<Int>(0)
  private let isOver = Atomic<Bool>(false)

  func advance() { pieces.wrappingAdd(1, ordering: .relaxed) }
  /// Nothing more is read; what takes time from here on is this device's own disk.
  func finish() { isOver.store(true, ordering: .relaxed) }

  var count: Int { pieces.load(ordering: .relaxed) }
  var isFinished: Bool { isOver.load(ordering: .relaxed) }
}
