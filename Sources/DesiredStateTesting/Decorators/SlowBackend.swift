public import DesiredState

/// Makes any backend slow: each operation, and each piece of a document, takes a while longer.
public struct SlowBackend<Base: DesiredStateBackend>: BackendDecorator {
  public let base: Base
  private let range: ClosedRange<Duration>
  private let clock: any Clock<Duration>
  private let dice: Dice

  /// - Parameters:
  ///   - base: the backend that is decorated.
  ///   - range: how much longer, at least and at most.
  ///   - clock: what the time passes by.
  ///   - seed: the same seed gives the same delays, operation by operation.
  public init(_ base: Base, by range: ClosedRange<Duration>, clock: any Clock<Duration>, seed: UInt64) {
    self.base = base
    self.range = range
    self.clock = clock
    dice = Dice(seed: seed)
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    let delay = dice.duration(in: range)
    try await clock.sleep(for: min(delay, request.timeout))
    guard delay < request.timeout else {
      throw BackendError(.timeout, "\(source) did not answer within \(request.timeout)")
    }
    var request = request
    request.timeout -= delay
    return try await base.fetch(request).mapState { state in
      let wrapped = WrappedReader(base: state.documents) { document, reader in
        try await pause()
        return WrappedBytes(base: try await reader.open(document)) { piece in
          try await pause()
          return piece
        }
      }
      return state.replacing(documents: wrapped)
    }
  }

  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try await pause()
    try await base.acknowledge(acknowledgement)
  }

  private func pause() async throws { try await clock.sleep(for: dice.duration(in: range)) }
}
