import DesiredStateSupport
import FoundationEssentials

extension StateStore {
  /// Bytes that are read in one go, and the least time between two, in seconds: a gibibyte takes about half a day.
  private static let scrubbedAtOnce: UInt64 = 16 << 20
  private static let scrubbedEvery = 600.0

  /// Digests the blobs that come next, if it is time for it, so that rot is found before a document is needed.
  ///
  /// Beside everything else: a large document takes seconds to digest, and no transition waits for that.
  ///
  /// - Returns: the digests of those that were damaged. They are removed, and must be fetched again.
  nonisolated func scrubIfDue(at now: Date) async throws -> [Digest] {
    guard await beginScrub(at: now) else { return [] }
    return try await scrub(atMost: Self.scrubbedAtOnce)
  }

  /// - Parameter limit: how many bytes to read; the last blob may be larger.
  nonisolated func scrub(atMost limit: UInt64) async throws -> [Digest] {
    let last = await scrubbed
    let (damaged, next) = try await scrubber.run { [blobs] in
      let all = try blobs.all()
      let start = last.flatMap { last in all.firstIndex { $0.fileName > last.fileName } } ?? 0
      var damaged: [Digest] = []
      var next = last
      var read: UInt64 = 0
      for offset in all.indices {
        guard read < limit else { break }
        let digest = all[(start + offset) % all.count]
        if let size = try blobs.scrub(digest) { read += size } else { damaged.append(digest) }
        next = digest
      }
      return (damaged, next)
    }
    await endScrub(next)
    return damaged
  }

  private func beginScrub(at now: Date) -> Bool {
    guard let before = lastScrub else {
      lastScrub = now
      return false
    }
    guard abs(now.timeIntervalSince(before)) >= Self.scrubbedEvery else { return false }
    lastScrub = now
    return true
  }

  private func endScrub(_ digest: Digest?) { scrubbed = digest }
}
