import DesiredStateSupport
import FoundationEssentials
import Glibc
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
  ///   - progress: counts the pieces read, for a watch that reading does not stall.
  ///   - acknowledgements: the reports of it, durable in the same write.
  /// - Throws: ``VerificationError`` if a document is missing, wrong or too large, or the state does not fit on the disk
  ///   (`no-space`); ``BackendError``; ``FileError``; `CancellationError`. Documents already read stay, unless there is no
  ///   room for them, so that the next try need not read them again.
  nonisolated func adopt(
    _ state: VerifiedState, source: String, marker: String?, policy: TrustPolicy, at time: Date, limits: Limits,
    progress: ReadingProgress = ReadingProgress(), acknowledging acknowledgements: [Acknowledgement] = []
  ) async throws {
    do {
      do {
        try await bring(state, limits: limits, progress)
      } catch let error as FileError where error.isNoSpace {
        // Sizes that were not declared, or not truly: what the state would push out goes now, and it is tried once more.
        try Task.checkCancellation()
        guard (try? await dropDispensable(sparing: state.manifest)) ?? false else { throw error }
        try await bring(state, limits: limits, progress)
      }
      try Task.checkCancellation()
      try await record(
        state, source: source, marker: marker, policy: policy, at: time, acknowledging: acknowledgements)
    } catch let error as FileError where error.isNoSpace {
      // All of it goes, so that something smaller fits; drafts are removed already.
      try Task.checkCancellation()
      try? await collectGarbage()
      throw noSpace(state, error.description)
    }
  }

  /// Brings every document and the manifest to the disk.
  nonisolated private func bring(_ state: VerifiedState, limits: Limits, _ progress: ReadingProgress) async throws {
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
    progress.expect(missing.advisorySize)
    let isMissing = Set(missing.map(\.digest))
    let begun = try blobs.removeDrafts { isMissing.contains($0) }
    if !missing.isEmpty {
      // What an earlier try at another state left is not kept for ever.
      try? await collectGarbage(sparing: state.manifest)
      try await makeRoom(for: state, missing, limits: limits)
    }
    // How much of the store's own limit is left.
    var room = UInt64.max
    if let sizeLimit {
      let used = try blobs.totalSize()
      room = sizeLimit > used ? sizeLimit - used : 0
    }
    var drafted: [Digest] = []
    do {
      for document in state.readingOrder(of: missing) {
        let size = try await draft(
          document, of: state, continuing: begun.contains(document.digest), atMost: limits.totalSize,
          alreadyHeld: total, room: room, progress)
        drafted.append(document.digest)
        total += size
        room -= size
      }
      progress.finish()
      if try blobs.repairedSize(of: state.revision.digest) == nil {
        drafted.append(state.revision.digest)
        let draft = try blobs.draft(state.revision.digest)
        try draft.write(state.manifestBytes)
        try draft.finish()
      }
      try blobs.commit(drafted)
    } catch {
      // An adoption that was cancelled may no longer be waited for, and touches nothing that a later one may be at.
      if Task.isCancelled { throw error }
      if (error as? FileError)?.isNoSpace ?? false {
        _ = try? blobs.removeDrafts()
      } else if !(error is FileError) {
        // The documents read so far are right; only this one is not. Kept, so that another try reads the rest only.
        try blobs.commit(drafted)
      }
      throw error
    }
  }

  private func record(
    _ state: VerifiedState, source: String, marker: String?, policy: TrustPolicy, at time: Date,
    acknowledging acknowledgements: [Acknowledgement]
  ) throws {
    let signers = state.signers.prefix(64)
    let adopted = AdoptedState(
      revision: state.revision, version: state.manifest.version, signers: signers.map(\.storable),
      source: source, origin: state.origin, hasHistory: state.hasHistory, at: time,
      expires: storable(state.manifest.expires), issued: storable(state.manifest.issued),
      policy: policy.fingerprint, credentials: signers.map(\.credential))
    setMarker(marker, of: source)
    // The state that was rolled back from is brought again (its documents were damaged, or the policy changed): it stays there.
    let isRolledBack = record.rollback?.from.revision == state.revision
    let kept = isRolledBack ? record.kept : kept(adopted: adopted, applied: record.applied?.revision)
    try change(saying: isRolledBack ? [] : acknowledgements) { record in
      if isRolledBack {
        record.rollback?.from = adopted
      } else {
        if record.adopted?.revision != adopted.revision { record.attempt = nil }
        record.adopted = adopted
        record.rollback = nil
      }
      if let version = state.manifest.version {
        record.floor = VersionFloor(version: version, revision: state.revision)
      }
      if let issued = storable(state.manifest.issued), !state.signers.isEmpty {
        record.newestSigned = max(record.newestSigned ?? issued, issued)
      }
      record.revokedSigners = nil
      record.refusals[source] = nil
      if let index = record.history.firstIndex(where: { $0.state.revision == adopted.revision }) {
        record.history[index].state = adopted
      } else {
        record.history.insert(HistoryEntry(state: adopted, outcome: .adopted, at: time), at: 0)
      }
      record.keep(kept)
    }
    collectGarbageIfPossible()
  }

  nonisolated private func draft(
    _ document: DocumentReference, of state: VerifiedState, continuing: Bool, atMost limit: UInt64,
    alreadyHeld: UInt64, room: UInt64, _ progress: ReadingProgress
  ) async throws -> UInt64 {
    for continuing in continuing ? [true, false] : [false] {
      if let size = try await attempt(
        document, of: state, continuing: continuing, atMost: limit, alreadyHeld: alreadyHeld, room: room, progress)
      {
        return size
      }
    }
    return 0
  }

  /// - Returns: its size; nil if what an earlier try left was not the beginning of it after all.
  nonisolated private func attempt(
    _ document: DocumentReference, of state: VerifiedState, continuing: Bool, atMost limit: UInt64,
    alreadyHeld: UInt64, room: UInt64, _ progress: ReadingProgress
  ) async throws -> UInt64? {
    var size: UInt64 = 0
    var isContinued = false
    do {
      let draft = try blobs.draft(document.digest, continuing: continuing)
      size = draft.head.count
      isContinued = size > 0
      var bytes = try await state.open(document, after: draft.head).makeAsyncIterator()
      while let chunk = try await bytes.next() {
        try Task.checkCancellation()
        progress.advance(bytes: chunk.count)
        size += UInt64(chunk.count)
        guard alreadyHeld + size <= limit else {
          throw VerificationError(.limitExceeded, "the documents are larger than \(limit) bytes in all")
        }
        if size > room { throw FileError("write more than the store may have to", path, code: EDQUOT) }
        try draft.write(chunk)
      }
      try draft.finish()
      progress.advance()
      return size
    } catch {
      if isContinued, (error as? VerificationError)?.code == .digestMismatch {
        blobs.discard(document.digest)
        return nil
      }
      // A line that broke, or a reader that was given up: the next try goes on from here.
      let isInterrupted = error is BackendError || error is CancellationError
      if !isInterrupted || size < BlobStore.smallestContinued { blobs.discard(document.digest) }
      throw error
    }
  }
}

/// A time as a record can hold it: no device lives to see another.
private func storable(_ time: Date?) -> Date? { time.flatMap { Timestamp.canWrite($0) ? $0 : nil } }

extension Signer {
  fileprivate var storable: Signer {
    Signer(principals: principals.prefix(16).map { printable($0, limit: 256) }, key: printable(key, limit: 256))
  }
}

/// Counts pieces of documents as they arrive, and passes them on to one who watches.
final class ReadingProgress: Sendable {
  private let pieces = Atomic<Int>(0)
  private let isOver = Atomic<Bool>(false)

  private let total = Atomic<Int>(0)
  private let expected = LockedValue<UInt64?>(nil)
  private let watch: Reconciler.Configuration.ReadingWatch?

  init(_ watch: Reconciler.Configuration.ReadingWatch? = nil) { self.watch = watch }

  /// How much is to be read, by the publisher's word.
  func expect(_ bytes: UInt64?) { expected.withLock { $0 = bytes } }

  func advance(bytes: Int = 0) {
    pieces.wrappingAdd(1, ordering: .relaxed)
    guard bytes > 0 else { return }
    total.wrappingAdd(bytes, ordering: .relaxed)
    watch?(bytes, expected.withLock { $0 })
  }
  /// Nothing more is read; what takes time from here on is this device's own disk.
  func finish() { isOver.store(true, ordering: .relaxed) }

  var count: Int { pieces.load(ordering: .relaxed) }
  /// Bytes of documents.
  var bytes: Int { total.load(ordering: .relaxed) }
  var isFinished: Bool { isOver.load(ordering: .relaxed) }
}
