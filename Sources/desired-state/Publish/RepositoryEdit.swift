import ArgumentParser
import DesiredState
import DesiredStateSupport
import DropPublisher
import FoundationEssentials

/// A change of a drop in a Git repository: made beside it, committed, and pushed.
struct RepositoryEdit {
  let to: String
  let transport: TransportOptions
  /// The key that the commit is signed with; nil leaves it unsigned.
  let key: String?

  private struct DryRun: Error {}

  /// - Parameters:
  ///   - several: whether the folder has drops in it.
  ///   - isDryRun: whether nothing is to be committed.
  ///   - edit: is given the drop's directory, and returns its result and the commit's message.
  func perform<Result: Sendable>(
    several: Bool = false, isDryRun: Bool = false,
    _ edit: @escaping @Sendable (String) async throws -> (Result, message: String)
  ) async throws -> Result {
    let publisher: GitDropPublisher
    do {
      publisher = try GitDropPublisher(
        try SourceAddress(to), context: BackendContext(device: "publisher", settings: transport.settings))
    } catch let error as SourceAddressError {
      throw ValidationError(Flags.added(to: error.description))
    }
    let sign = key.map { key in
      let signer = SSHKeygenSigner(keys: [key], namespace: "git")
      return { @Sendable (content: [UInt8]) in try await signer.sign(content) }
    }
    let result = LockedValue<Result?>(nil)
    do {
      try await endingOnSignals {
        try await publisher.publish(at: Date(), sign: sign, several: several) { directory in
          let (made, message) = try await edit(directory)
          result.withLock { $0 = made }
          if isDryRun { throw DryRun() }
          return message
        }
      }
    } catch is DryRun {}
    guard let result = result.withLock({ $0 }) else { throw PublicationError(.options, "nothing was published") }
    return result
  }
}
