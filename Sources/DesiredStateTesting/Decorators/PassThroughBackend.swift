public import DesiredState

/// Wraps a backend, its states and its documents, and changes nothing.
///
/// A backend that hides what it knows of a state in a type of its own, and looks for it there in `verify`, does not find
/// it through this decorator. Law 17 asks that every verdict stays as it is.
public struct PassThroughBackend<Base: DesiredStateBackend>: BackendDecorator {
  public let base: Base

  /// Wraps a backend.
  public init(_ base: Base) { self.base = base }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await base.fetch(request).mapState { state in
      state.replacing(
        documents: WrappedReader(base: state.documents) { document, reader in
          WrappedBytes(base: try await reader.open(document)) { $0 }
        })
    }
  }
}
