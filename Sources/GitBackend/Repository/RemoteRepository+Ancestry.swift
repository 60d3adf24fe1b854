import DesiredState
import Synchronization

extension RemoteRepository {
  /// How many commits are looked at for the adopted one, once for each pair.
  static let longestHistory = 100_000

  func ancestry(of commit: ObjectID, parents: [ObjectID]?, from ancestor: ObjectID) async throws -> Ancestry {
    // Nearly always: a device that polls misses no commit.
    if commit == ancestor || parents?.contains(ancestor) == true { return .descends }
    let pair = [commit, ancestor]
    if let known = state.withLock({ $0.compared[pair] }) { return known }
    var result = Ancestry.unproven(isCut: true)
    for depth in [PackRequest.Depth.generations(256), .everything] {
      let history = try await history(of: commit, after: ancestor, depth)
      result = history.commits.ancestry(of: commit, from: ancestor)
      // Not there although nothing was left out, or as far as is looked at all.
      if result == .descends || history.isWhole || history.commits.count >= Self.longestHistory { break }
    }
    state.withLock { [result] in
      if $0.compared.count > 100 { $0.compared = [:] }
      $0.compared[pair] = result
    }
    return result
  }

  /// The commits before a commit, without trees and files: of a server that can leave them out by asking for it, of
  /// another one by reading no further, since commits come first.
  private func history(
    of commit: ObjectID, after ancestor: ObjectID, _ depth: PackRequest.Depth
  ) async throws -> (commits: CommitHistory, isWhole: Bool) {
    let request = PackRequest(wanted: [commit], held: [ancestor], depth: depth, isOfCommitsAlone: true)
    let reading = HistoryReading()
    do {
      return try await withSession(with: .uploadPack) { [self] session in
        let advertisement = try await advertisement(.uploadPack, in: session)
        let isWhole = request.depth(for: advertisement) == .everything
        let packets = try await session.ask(request.encoded(for: advertisement))
        var answer = try await PackAnswer(packets, to: request, of: advertisement)
        while let piece = try await answer.next() { try reading.take(piece) }
        try await packets.finish()
        return (reading.history, isWhole)
      }
    } catch let end as HistoryReading.End {
      var isWhole = false
      if case .whole = end { isWhole = depth == .everything }
      return (reading.history, isWhole)
    }
  }
}

/// Reads the commits of a pack and nothing else of it.
///
/// Sound to send: one task uses it, one piece after the other.
private final class HistoryReading: @unchecked Sendable {
  /// Ends the reading before the pack does.
  enum End: Error {
    /// All commits have come.
    case whole
    /// There are more than are looked at.
    case tooMany
  }

  private(set) var history = CommitHistory()
  private let limiter = PackLimiter(.ofHistory)
  private var others = 0

  init() {
    limiter.observer = PackObserver(of: [.commit, .tag]) { [unowned self] kind, bytes in
      guard kind == .commit else { return }
      try history.add(bytes)
      others = 0
      guard history.count < RemoteRepository.longestHistory else { throw End.tooMany }
    } pass: { [unowned self] in
      // An object that is no commit: git sends no commit after it, other servers may mix them a little.
      others += 1
      guard history.count == 0, others < 256 else { throw End.whole }
    }
  }

  func take(_ bytes: [UInt8]) throws {
    do {
      try limiter.pass(bytes)
    } catch let error as GitProtocolError where error.code == .tooLarge {
      throw End.tooMany
    }
  }
}
