public import DesiredState
public import FoundationEssentials
import GitBackend

/// Publishes a drop in a repository: a commit on top of a branch, pushed, without a working tree.
public struct GitDropPublisher: Sendable {
  private let branch: GitBranch
  /// The repository and the place in it, without a user's name.
  public var source: String { branch.source }

  /// - Parameters:
  ///   - address: as a source's, with `ref=` naming a branch, which need not exist yet, and `path=` the drop.
  ///   - context: settings of the transport, such as credentials.
  /// - Throws: `SourceAddressError` if the address or a setting cannot be used.
  public init(_ address: SourceAddress, context: BackendContext) throws {
    branch = try GitBranch(address, context: context)
  }

  /// Whether an address is one of a repository.
  public static func serves(_ address: String) -> Bool { GitBranch.serves(address) }

  /// Commits what `write` makes of the drop, and pushes it. If another publisher was first, all of it is done again on
  /// top of theirs. Whatever the server does, there is an end after an hour.
  ///
  /// - Parameters:
  ///   - time: when the commit is made.
  ///   - sign: an armored SSH signature over a commit, in the namespace `git`; nil leaves it unsigned.
  ///   - several: whether the folder has drops in it, and is none itself.
  ///   - write: is given a directory with the drop as it is published now, changes it, and returns the commit's message.
  /// - Throws: what `write` and `sign` throw; `BackendError`; `FileError`; `CancellationError`.
  public func publish(
    at time: Date, sign: (@Sendable ([UInt8]) async throws -> [UInt8])?, several: Bool = false,
    _ write: @escaping @Sendable (String) async throws -> String
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { [branch] in
        try await branch.commit(at: time, sign: sign, including: { several || Self.isOfDrop($0) }, write)
      }
      group.addTask { [source] in
        try await Task.sleep(for: .seconds(3600))
        throw BackendError(.timeout, "publishing in \(source) did not end within an hour")
      }
      // Returns when all is tidied up: a group waits for both.
      defer { group.cancelAll() }
      try await group.next()
    }
  }

  private static func isOfDrop(_ name: String) -> Bool {
    name == DropLayout.manifest
      || [DropLayout.documents, DropLayout.signatures, DropLayout.bundles, DropLayout.trust, DropLayout.history]
        .contains(name)
  }
}
