public import DesiredState

/// A backend around another one (a cache, metrics, faults): everything that it does not change is passed on.
///
/// A decorator implements ``base`` and the functions that it changes. What it makes of a fetched state keeps evidence and
/// origin if it is made by `FetchedState.replacing(manifest:signatures:documents:)`; a decorator that loses them makes
/// states that a policy refuses.
public protocol BackendDecorator: DesiredStateBackend {
  /// The kind of backend that is decorated.
  associatedtype Base: DesiredStateBackend
  /// The backend that is decorated.
  var base: Base { get }
}

extension BackendDecorator {
  /// The source of the decorated backend.
  public var source: String { base.source }
  /// The capabilities of the decorated backend.
  public var capabilities: BackendCapabilities { base.capabilities }

  /// Passed on.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult { try await base.fetch(request) }

  /// Passed on.
  public func verify(_ state: FetchedState, with verifier: Verifier) async throws -> VerifiedState {
    try await base.verify(state, with: verifier)
  }

  /// Passed on.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try await base.acknowledge(acknowledgement)
  }

  /// Passed on.
  public func changeHints() -> AsyncStream<Void>? { base.changeHints() }
}
