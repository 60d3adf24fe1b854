import DesiredStateSupport
import FoundationEssentials

extension StateStore {
  /// The update that leads from the present state to the adopted one; nil if there is nothing to apply.
  ///
  /// Present is the applied state, with the documents that any unfinished apply since may have brought.
  ///
  /// - Parameters:
  ///   - everything: treat the adopted state as if nothing had been applied before.
  ///   - keepsChanges: whether a recipient wants every change of a document's state.
  ///   - didReport: called when acknowledgements have been put into the outbox.
  /// - Throws: ``StoreError`` with `documentDamaged` if a document or manifest is gone; ``FileError``.
  func pendingUpdate(
    everything: Bool, device: String, keepsChanges: Bool = false, now: @escaping @Sendable () -> Date,
    didReport: @escaping @Sendable () -> Void
  ) throws -> Update? {
    guard let adopted = record.adopted, everything || !record.isInPlace else { return nil }
    let documents = try manifest(of: adopted.revision).documents.map { reference in
      guard let size = try blobs.repairedSize(of: reference.digest) else {
        throw StoreError(.documentDamaged, "document '\(reference.id)' is gone from \(path); it is fetched again")
      }
      return document(reference, size: size)
    }
    let wanted = Set(documents.map(\.id))
    let unfinished = record.touched.filter { $0 != adopted.revision }
    // Without the applied manifest nothing is known about the present state; then all of it is added.
    let applied = try record.applied.flatMap { try knownDocuments(of: $0.revision) } ?? []
    let tried = try unfinished.reversed().map { try knownDocuments(of: $0) }
    let touched = tried.flatMap { $0 ?? [] }
    func digests(_ documents: [DocumentReference]) -> [String: Digest] {
      Dictionary(documents.map { ($0.id, $0.digest) }) { first, _ in first }
    }
    let known = everything ? [:] : digests(applied)
    // What an unfinished apply has put in the place of an applied document, or taken away, is not known: a document is
    // as it was applied only if none of them had another in mind.
    let uncertain = everything ? [] : tried.map { $0.map(digests) }
    let isUnknown = record.isUncertain ?? false || uncertain.contains { $0 == nil }
    func mayBeThere(_ id: String) -> Bool { known[id] != nil || uncertain.contains { $0?[id] != nil } }
    func isInPlace(_ document: Document) -> Bool {
      !isUnknown && known[document.id] == document.digest
        && uncertain.allSatisfy { $0?[document.id] == document.digest }
    }
    var gone: Set<String> = []
    // The newest of each name first: the last one tried is most likely there.
    let removed = (touched + applied).filter { !wanted.contains($0.id) && gone.insert($0.id).inserted }
    return Update(
      revision: adopted.revision, version: adopted.version, origin: adopted.origin, documents: documents,
      added: documents.filter { !mayBeThere($0.id) },
      modified: documents.filter { mayBeThere($0.id) && !isInPlace($0) },
      removed: try removed.map { document($0, size: try blobs.repairedSize(of: $0.digest) ?? $0.advisorySize ?? 0) },
      reporter: StatusReporter(
        outbox: outbox, device: device, revision: adopted.revision, version: adopted.version,
        origin: adopted.origin, keepsChanges: keepsChanges, now: now, didReport: didReport))
  }

  private func document(_ reference: DocumentReference, size: UInt64) -> Document {
    Document(
      id: reference.id, digest: reference.digest, size: size, path: blobs.path(of: reference.digest), worker: reader,
      blobs: blobs)
  }

  /// The documents of a state that is kept, as they are on the disk; they are checked while they are read.
  ///
  /// - Throws: ``StoreError`` with `documentDamaged` if its manifest is gone or wrong; ``FileError``.
  public func documents(of revision: Revision) throws -> [Document] {
    try manifest(of: revision).documents.map { reference in
      let status = try Files.status(of: blobs.path(of: reference.digest))
      return document(reference, size: UInt64(status?.size ?? 0))
    }
  }

  /// The documents of a state that may be gone by now; an error that may pass is no reason to forget them.
  private func knownDocuments(of revision: Revision) throws -> [DocumentReference]? {
    do {
      return try manifest(of: revision).documents
    } catch let error as StoreError where error.code == .documentDamaged {
      return nil
    }
  }
}
