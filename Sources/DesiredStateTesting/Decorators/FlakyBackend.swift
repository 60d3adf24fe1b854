public import DesiredState

/// Makes any backend unreliable: now and then an operation, or the reading of a document, fails.
///
/// An acknowledgement that fails may have been delivered all the same, as on a real line that breaks before the answer.
public struct FlakyBackend<Base: DesiredStateBackend>: BackendDecorator {
  public let base: Base
  private let probability: Double
  private let error: BackendError
  private let dice: Dice

  /// - Parameters:
  ///   - base: the backend that is decorated.
  ///   - probability: how likely each operation, and each piece of a document, fails, from 0 to 1.
  ///   - error: what it fails with.
  ///   - seed: the same seed gives the same failures, operation by operation.
  public init(
    _ base: Base, failing probability: Double,
    with error: BackendError = BackendError(.unreachable, "the line broke; it usually comes back"), seed: UInt64
  ) {
    self.base = base
    self.probability = probability
    self.error = error
    dice = Dice(seed: seed)
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try mayFail()
    return try await base.fetch(request).mapState { state in
      let wrapped = WrappedReader(base: state.documents) { document, reader in
        try mayFail()
        return WrappedBytes(base: try await reader.open(document)) { piece in
          try mayFail()
          return piece
        }
      }
      return state.replacing(documents: wrapped)
    }
  }

  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try mayFail()
    try await base.acknowledge(acknowledgement)
    try mayFail()
  }

  private func mayFail() throws { if dice.strikes(probability) { throw error } }
}
