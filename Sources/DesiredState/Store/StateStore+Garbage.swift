import DesiredStateSupport

/// The kept states, and how room is made.
extension StateStore {
  /// The revisions to keep: the adopted one, the applied one, and the newest others up to the number configured, those
  /// that were applied before those that failed.
  func kept(adopted: AdoptedState?, applied: Revision?) -> [Revision] {
    var kept = [adopted?.revision, record.rollback?.from.revision].compactMap(\.self)
    for revision in [applied, record.trial?.fallback].compactMap(\.self) where !kept.contains(revision) {
      kept.append(revision)
    }
    let failed = Set(record.history.filter { $0.outcome == .failed }.map(\.state.revision))
    let others = record.kept.filter { !failed.contains($0) } + record.kept.filter(failed.contains)
    for revision in others where !kept.contains(revision) && kept.count < keptStates { kept.append(revision) }
    // Newest first, as they were.
    let order = (adopted.map { [$0.revision] } ?? []) + record.kept
    return kept.sorted { (order.firstIndex(of: $0) ?? .max) < (order.firstIndex(of: $1) ?? .max) }
  }

  /// Removes what no kept state needs. Nothing is removed if anything that decides it cannot be read.
  ///
  /// - Parameter manifest: one that is being adopted, and whose documents stay as well.
  /// - Throws: ``FileError``; ``StoreError`` with `documentDamaged` if a manifest is damaged.
  func collectGarbage(sparing manifest: StateManifest? = nil) throws {
    var wanted = Set(manifest?.documents.map(\.digest) ?? [])
    for revision in Set(record.kept + record.touched) {
      wanted.insert(revision.digest)
      for document in try self.manifest(of: revision).documents { wanted.insert(document.digest) }
    }
    try blobs.collectGarbage(keeping: wanted)
  }

  /// The same where something else was promised already: what cannot be removed now is removed at a later poll, also by
  /// another process.
  func collectGarbageIfPossible() {
    do {
      try collectGarbage()
      if record.hasGarbage != nil { try change { $0.hasGarbage = nil } }
    } catch {
      try? change { $0.hasGarbage = true }
    }
  }

  /// Tries again what could not be removed.
  func collectGarbageIfDue() { if record.hasGarbage ?? false { collectGarbageIfPossible() } }
}
