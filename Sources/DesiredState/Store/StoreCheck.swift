import DesiredStateSupport

/// A thorough look at what a store keeps: every byte is read and digested. Changes nothing, and disturbs no agent.
package struct StoreCheck: Sendable, Equatable {
  /// How many manifests and documents were read.
  package var read: Int
  /// Damaged and lost parts, each in words.
  package var damaged: [String]

  /// Reads every manifest and document of every state that the store at a path keeps.
  ///
  /// - Throws: ``StoreError`` if there is no store or its record is damaged; ``FileError`` if the disk does not answer.
  package static func run(_ path: String) async throws -> StoreCheck {
    let status = try await StoreStatus.read(path)
    return try await Worker("desired-state.check").run {
      let layout = StoreLayout(path)
      let blobs = BlobStore(directory: layout.blobs, incoming: layout.incoming)
      var check = StoreCheck(read: 0, damaged: [])
      var seen: Set<Digest> = []
      for entry in status.history {
        let name = entry.state.version.map { "version \($0)" } ?? "\(entry.state.revision)"
        do {
          let documents = try blobs.manifest(of: entry.state.revision).documents
          check.read += 1
          for document in documents where seen.insert(document.digest).inserted {
            check.read += 1
            guard try !blobs.isWhole(document.digest) else { continue }
            check.damaged.append("document \(quoted(document.id)) of \(name) is damaged or gone")
          }
        } catch let error as StoreError where error.code == .documentDamaged {
          check.damaged.append("the manifest of \(name) is damaged or gone")
        }
      }
      return check
    }
  }
}
