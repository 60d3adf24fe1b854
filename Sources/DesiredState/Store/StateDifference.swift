import DesiredStateSupport

/// How one state differs from another, document by document.
package struct StateDifference: Sendable, Equatable {
  /// A document that differs.
  package struct Change: Sendable, Equatable, Codable {
    /// What can happen to a document.
    package enum Kind: String, Sendable, Codable {
      /// It is new.
      case added
      /// It has other bytes.
      case modified
      /// It is gone.
      case removed
    }

    /// The id of the document.
    package var document: String
    /// What happens to it.
    package var change: Kind
    /// The digest of its bytes before; nil if it is added.
    package var before: Digest?
    /// The digest of its bytes after; nil if it is removed.
    package var after: Digest?
  }

  /// The differences: removed documents first, then the rest in the publisher's order.
  package var changes: [Change]

  /// The difference between two lists of documents.
  package init(from before: [DocumentReference], to after: [DocumentReference]) {
    let known = Dictionary(before.map { ($0.id, $0.digest) }) { first, _ in first }
    let wanted = Set(after.map(\.id))
    changes = before.filter { !wanted.contains($0.id) }
      .map { Change(document: $0.id, change: .removed, before: $0.digest) }
    for document in after where known[document.id] != document.digest {
      let before = known[document.id]
      changes.append(
        Change(
          document: document.id, change: before == nil ? .added : .modified, before: before, after: document.digest))
    }
  }

  /// The difference between two states that a store keeps, read without disturbing the agent that has it.
  ///
  /// - Parameters:
  ///   - path: the store's directory.
  ///   - from: a version; nil: the applied state, or if that is `to`, the one adopted before it; nothing if there is
  ///     none.
  ///   - to: a version; nil: the adopted state.
  /// - Throws: ``StoreError`` with `notKept` if a state is not kept, or `documentDamaged`; ``FileError``.
  package static func read(store path: String, from: UInt64? = nil, to: UInt64? = nil) async throws -> StateDifference {
    let status = try await StoreStatus.read(path)
    return try await Worker("desired-state.diff").run {
      let layout = StoreLayout(path)
      let blobs = BlobStore(directory: layout.blobs, incoming: layout.incoming)
      guard let after = try to.map({ try status.revision(of: $0, path) }) ?? status.adopted?.revision else {
        throw StoreError(.notKept, "nothing is adopted in \(path)")
      }
      var before = try from.map { try status.revision(of: $0, path) }
      if from == nil {
        before = status.applied?.revision
        if before == after {
          let later = status.history.drop { $0.state.revision != after }
          before = later.dropFirst().first?.state.revision
        }
      }
      let old = try before.map { try blobs.manifest(of: $0).documents } ?? []
      return StateDifference(from: old, to: try blobs.manifest(of: after).documents)
    }
  }

  /// The documents of a state that a store keeps.
  ///
  /// - Parameters:
  ///   - path: the store's directory.
  ///   - version: a version; nil: the adopted state, and no document if there is none.
  /// - Throws: as ``read(store:from:to:)``.
  package static func documents(ofStore path: String, version: UInt64? = nil) async throws -> [DocumentReference] {
    let status = try await StoreStatus.read(path)
    return try await Worker("desired-state.diff").run {
      let layout = StoreLayout(path)
      let blobs = BlobStore(directory: layout.blobs, incoming: layout.incoming)
      let revision = try version.map { try status.revision(of: $0, path) } ?? status.adopted?.revision
      return try revision.map { try blobs.manifest(of: $0).documents } ?? []
    }
  }
}

extension StoreStatus {
  fileprivate func revision(of version: UInt64, _ path: String) throws(StoreError) -> Revision {
    if let entry = history.first(where: { $0.state.version == version }) { return entry.state.revision }
    throw StoreError(.notKept, "version \(version) is not kept in \(path)")
  }
}
