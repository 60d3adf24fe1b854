import CGit2
import DesiredState
import DesiredStateSupport
import FoundationEssentials

/// The branch that a device's receipts are committed to: one file a subject, the newest acknowledgement of each.
///
/// One commit is made at a time: two at once would only be in each other's way. What comes meanwhile goes into the next
/// one together.
final class ReceiptBranch: Sendable {
  private struct Waiting: Sendable {
    let reference: String
    let changes: [TreeChange]
    let device: String
    let time: Date
    let summary: String
    let answer = Promise<Void>()
  }
  private struct Queue {
    var waiting: [Waiting] = []
    /// The running commit, for those who still wait for it.
    var current: (batch: [Waiting], task: Task<Void, Never>)?
  }
  /// What the names of the devices' own branches begin with.
  static let prefix = "refs/heads/acknowledgements/"

  private let repository: any GitRepository
  private let reference: String?
  private let author: CommitAuthor.Person?
  private let signer: ReceiptSigner?
  private let queue = LockedValue(Queue())
  private let refusal = LockedValue<Refusal?>(nil)

  /// Credentials that only read: noticed once, then tried rarely.
  private struct Refusal {
    let error: BackendError
    let until: ContinuousClock.Instant
    let delay: Duration

    /// The error again, for as long as it is not tried.
    var remaining: BackendError? {
      let left = until - .now
      guard left > .zero else { return nil }
      return BackendError(
        error.code, error.message, isRetryable: true, retryAfter: left, underlying: error.underlying)
    }
  }

  /// - Parameters:
  ///   - reference: a full name; nil for `refs/heads/acknowledgements/` and the device's name.
  ///   - author: who makes the commits; nil for the one that git is configured with, or the device.
  ///   - signer: signs the receipts; nil leaves them unsigned.
  init(
    _ repository: any GitRepository, reference: String?, author: CommitAuthor.Person?, signer: ReceiptSigner? = nil
  ) {
    self.repository = repository
    self.reference = reference
    self.author = author
    self.signer = signer
  }

  /// Ends what goes on between polls.
  func stop() { repository.stop() }

  /// Commits a receipt, and returns when it is there.
  ///
  /// - Throws: ``BackendError``, with `forbidden` at once if the credentials were found to be only for reading within the
  ///   last hour (a day, if it was found several times); `CancellationError`.
  func add(_ acknowledgement: Acknowledgement) async throws {
    if let error = refusal.withLock({ $0?.remaining }) { throw error }
    let receipt = try await Receipt(acknowledgement, signer: signer)
    let waiting = Waiting(
      reference: reference ?? Self.prefix + Self.branchName(for: receipt),
      // Without a signature, that of an earlier receipt must go.
      changes: [
        TreeChange(path: receipt.path, bytes: receipt.bytes),
        TreeChange(path: receipt.signaturePath, bytes: receipt.signature),
      ],
      device: acknowledgement.device, time: acknowledgement.time,
      summary: Self.summary(of: acknowledgement))
    queue.withLock { queue in
      queue.waiting.append(waiting)
      begin(&queue)
    }
    try await withTaskCancellationHandler {
      try await waiting.answer.value()
    } onCancel: {
      waiting.answer.give(.failure(CancellationError()))
      // It is not waited for any more: a server that hangs must not keep the next ones.
      queue.withLock { queue in
        if let current = queue.current, current.batch.allSatisfy(\.answer.isGiven) { current.task.cancel() }
      }
    }
  }

  /// Commits everything that waits for one branch, if nothing is being committed.
  private func begin(_ queue: inout Queue) {
    queue.waiting.removeAll(where: \.answer.isGiven)
    guard queue.current == nil, let reference = queue.waiting.first?.reference else { return }
    let batch = queue.waiting.filter { $0.reference == reference }
    queue.waiting.removeAll { $0.reference == reference }
    let task = Task {
      let result: Result<Void, any Error>
      do {
        result = .success(try await commit(batch, to: reference))
        refusal.withLock { $0 = nil }
      } catch {
        result = .failure(noted(error))
      }
      for waiting in batch { waiting.answer.give(result) }
      self.queue.withLock { queue in
        queue.current = nil
        begin(&queue)
      }
    }
    queue.current = (batch, task)
  }

  /// The error, with what to do about credentials that only read.
  private func noted(_ error: any Error) -> any Error {
    guard let error = error as? BackendError, [.forbidden, .unauthorized].contains(error.code) else { return error }
    return refusal.withLock { refusal in
      let delay = min(.seconds(86400), refusal.map { $0.delay * 4 } ?? .seconds(3600))
      let noted = BackendError(
        error.code,
        "\(error.message). No receipts are delivered: let the device push to its branch, or leave them out with 'receipts=none'",
        isRetryable: true, retryAfter: delay, underlying: error.underlying)
      refusal = Refusal(error: noted, until: .now + delay, delay: delay)
      return noted
    }
  }

  private func commit(_ batch: [Waiting], to reference: String) async throws {
    // Of one subject the newest alone: no tree has two files of one name.
    let changes = Dictionary(batch.flatMap(\.changes).map { ($0.path, $0) }) { $1 }.values.sorted { $0.path < $1.path }
    let last = batch[batch.count - 1]
    let author = CommitAuthor(author ?? .configured ?? .init(name: last.device), time: last.time)
    let message = batch.map { $0.summary + "\n" }.joined()
    try await repository.advance(reference) { objects, tip in
      try await objects.use { store in
        let changes = try changes.filter { change in
          try change.bytes != nil || tip.flatMap { try store.entry(at: change.path, below: $0.tree) } != nil
        }
        let tree = try store.tree(tip?.tree, changing: changes)
        // Delivered before: the answer was lost, or nothing new is said.
        if tree == tip?.tree { return nil }
        let parents = tip.map { [$0.id] } ?? []
        return try store.write(
          store.commitContent(tree: tree, parents: parents, author: author, message: message), as: GIT_OBJECT_COMMIT)
      }
    }
  }

  /// The device as the receipt's own path names it, which is safe in the name of a branch but for three things
  /// (git-check-ref-format(1)): two dots in a row, a dot at the end, and `.lock` at the end.
  static func branchName(for receipt: Receipt) -> String {
    branchName(forFolder: String(receipt.path.split(separator: "/")[1]))
  }

  /// - Parameter folder: the device as the receipt's path names it.
  static func branchName(forFolder folder: String) -> String {
    let name = folder.replacing("..", with: ".%2e")
    return name.hasSuffix(".") || name.hasSuffix(".lock") ? name + "%00" : name
  }

  private static func summary(of acknowledgement: Acknowledgement) -> String {
    switch acknowledgement.outcome {
    case .adopted: "adopted \(acknowledgement.revision?.description ?? "a state")"
    case .rejected(let rejection): "rejected: \(rejection.code)"
    case .rolledBack(let left): "rolled back: \(left.code)"
    case .failed(let left): "failed: \(left.code)"
    case .reset: "reset by an operator"
    case .document(let status): "\(quoted(status.documentID, limit: 60)) \(status.state)"
    }
  }
}
