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
  /// another one by reading no further than the commits, or than what decides the question.
  private func history(
    of commit: ObjectID, after ancestor: ObjectID, _ depth: PackRequest.Depth
  ) async throws -> (commits: CommitHistory, isWhole: Bool) {
    let request = PackRequest(wanted: [commit], held: [ancestor], depth: depth, leavingOut: .treesAndFiles)
    let reading = HistoryReading(of: commit, from: ancestor)
    do {
      return try await withSession(with: .uploadPack) { [self] session in
        let advertisement = try await advertisement(.uploadPack, in: session)
        let isWhole = request.depth(for: advertisement) == .everything
        reading.sendsCommitsFirst = advertisement.sendsCommitsFirst
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
  /// Whether no commit comes after other objects. A server that mixes them is read until the question is decided.
  var sendsCommitsFirst = true
  private let limiter = PackLimiter(.ofHistory)
  private let commit: ObjectID
  private let ancestor: ObjectID
  /// Objects that are no commits, since the last commit and since the question was asked last.
  private var others = 0
  private var unasked = 0

  init(of commit: ObjectID, from ancestor: ObjectID) {
    self.commit = commit
    self.ancestor = ancestor
    limiter.observer = PackObserver(of: [.commit, .tag]) { [unowned self] kind, bytes in
      guard kind == .commit else { return }
      try history.add(bytes)
      others = 0
      guard history.count < RemoteRepository.longestHistory else { throw End.tooMany }
    } pass: { [unowned self] in
      others += 1
      let isOver = sendsCommitsFirst ? history.count > 0 || others >= 256 : isDecided()
      if isOver { throw End.whole }
    }
  }

  /// Whether the commits that have come tell how the two stand to each other. Asked more rarely the more there are.
  private func isDecided() -> Bool {
    unasked += 1
    guard unasked >= min(max(1, history.count / 4), 64) else { return false }
    unasked = 0
    return history.ancestry(of: commit, from: ancestor) != .unproven(isCut: true)
  }

  func take(_ bytes: [UInt8]) throws {
    do {
      try limiter.pass(bytes)
    } catch let error as GitProtocolError where error.code == .tooLarge {
      throw End.tooMany
    }
  }
}
