import DesiredStateSupport

extension StateStore {
  /// Digests the blobs that come next, so that rot is found before a document is needed: a few at a time, in turns.
  ///
  /// - Parameter limit: how many bytes to read; the last blob may be larger.
  /// - Returns: the digests of those that were damaged. They are removed, and fetched again when they are missed.
  func scrub(atMost limit: UInt64) throws -> [Digest] {
    let all = try blobs.all()
    guard !all.isEmpty else { return [] }
    let start = scrubbed.flatMap { last in all.firstIndex { $0.fileName > last.fileName } } ?? 0
    var damaged: [Digest] = []
    var read: UInt64 = 0
    for offset in all.indices {
      guard read < limit else { break }
      let digest = all[(start + offset) % all.count]
      if let size = try blobs.scrub(digest) { read += size } else { damaged.append(digest) }
      scrubbed = digest
    }
    return damaged
  }
}
