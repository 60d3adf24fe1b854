public import DesiredState

/// Makes any backend's bytes go bad: now and then one bit of a manifest, a signature or a document is wrong.
public struct CorruptingBackend<Base: DesiredStateBackend>: BackendDecorator {
  public let base: Base
  private let probability: Double
  private let dice: Dice

  /// - Parameters:
  ///   - base: the backend that is decorated.
  ///   - probability: how likely each manifest, signature and piece of a document is changed, from 0 to 1.
  ///   - seed: the same seed changes the same bits, operation by operation.
  public init(_ base: Base, corrupting probability: Double, seed: UInt64) {
    self.base = base
    self.probability = probability
    dice = Dice(seed: seed)
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await base.fetch(request).mapState { state in
      let wrapped = WrappedReader(base: state.documents) { document, reader in
        WrappedBytes(base: try await reader.open(document)) { mayChange($0) }
      }
      // A synthesised manifest was never on a wire.
      guard !state.isSynthesised else { return state.replacing(documents: wrapped) }
      return state.replacing(
        manifest: mayChange(state.manifest), signatures: state.signatures.map(mayChange), documents: wrapped)
    }
  }

  private func mayChange(_ bytes: [UInt8]) -> [UInt8] {
    guard !bytes.isEmpty, dice.strikes(probability) else { return bytes }
    var bytes = bytes
    bytes[dice.index(below: bytes.count)] ^= 1 << dice.index(below: 8)
    return bytes
  }
}
