public import DesiredState

/// A backend around another one (a cache, metrics, faults): everything that it does not change is passed on.
///
/// A decorator implements ``base`` and the functions that it changes. What it makes of a fetched state keeps evidence and
/// origin if it is made by `FetchedState.replacing(manifest:signatures:documents:)`; a decorator that loses them makes
/// states that a policy refuses.
public protocol BackendDecorator: DesiredStateBackend {
  associatedtype Base: DesiredStateBackend
  /// The backend that is decorated.
  var base: Base { get }
}

extension BackendDecorator {
  public var source: String { base.source }
  public var capabilities: BackendCapabilities { base.capabilities }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult { try await base.fetch(request) }

  public func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState {
    try await base.verify(state, with: verifier)
  }

  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try await base.acknowledge(acknowledgement)
  }

  public func changeHints() -> AsyncStream<Void>? { base.changeHints() }
}
