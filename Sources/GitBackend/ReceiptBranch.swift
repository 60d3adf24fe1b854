import CGit2
import DesiredState
internal import FoundationEssentials
import Synchronization

/// The branch that a device's receipts are committed to: one file a subject, the newest statement of each.
final class ReceiptBranch: Sendable {
  private let repository: any GitRepository
  private let reference: String?
  /// The last in the queue: two pushes at once would only be in each other's way.
  private let last = Mutex<Task<Void, Never>?>(nil)

  /// - Parameter reference: a full name; nil for `refs/heads/acknowledgements/` and the device's name.
  init(_ repository: any GitRepository, reference: String?) {
    self.repository = repository
    self.reference = reference
  }

  /// Commits a receipt, in turn.
  func add(_ acknowledgement: Acknowledgement) async throws {
    let task = last.withLock { last in
      let before = last
      let task = Task {
        await before?.value
        try Task.checkCancellation()
        try await commit(acknowledgement)
      }
      last = Task { _ = await task.result }
      return task
    }
    try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  private func commit(_ acknowledgement: Acknowledgement) async throws {
    let receipt = try Receipt(acknowledgement)
    let reference = reference ?? "refs/heads/acknowledgements/\(Self.branchName(for: receipt))"
    let change = TreeChange(path: receipt.path, bytes: receipt.bytes)
    let author = CommitAuthor(name: acknowledgement.device, time: acknowledgement.time)
    let message = "\(Self.summary(of: acknowledgement))\n"
    try await repository.advance(reference) { objects, tip in
      try await objects.use { store in
        let tree = try store.tree(tip?.tree, changing: [change])
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
    let name = String(receipt.path.split(separator: "/")[1]).replacing("..", with: ".%2e")
    return name.hasSuffix(".") || name.hasSuffix(".lock") ? name + "%00" : name
  }

  private static func summary(of acknowledgement: Acknowledgement) -> String {
    switch acknowledgement.statement {
    case .adopted: "adopted \(acknowledgement.revision?.description ?? "a state")"
    case .rejected(let rejection): "rejected: \(rejection.code)"
    case .document(let status): "\(String(status.documentID.prefix(60)).debugDescription) \(status.state)"
    }
  }
}
