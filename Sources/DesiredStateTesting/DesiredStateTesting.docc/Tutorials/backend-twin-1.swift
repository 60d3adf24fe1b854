import DesiredState

/// Desired state from a device's twin: a file that the client of a vendor's cloud keeps up to date.
public struct TwinBackend: DesiredStateBackend {
  public let source: String

  public init(folder: String) {
    source = "twin:\(folder)"
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    .absent(.manifest, "\(source) has no state yet")
  }
}
