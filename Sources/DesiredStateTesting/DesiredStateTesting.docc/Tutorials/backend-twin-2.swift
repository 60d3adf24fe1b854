import DesiredState

/// Desired state from a device's twin: a file that the client of a vendor's cloud keeps up to date.
public struct TwinBackend: DesiredStateBackend {
  public let source: String
  private let folder: TwinFolder

  public init(folder: String) {
    source = "twin:\(folder)"
    self.folder = TwinFolder(path: folder)
  }

  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    guard let parts = try await folder.parts(), let manifest = parts[DropLayout.manifest] else {
      return .absent(.manifest, "\(source) has no \(DropLayout.manifest); publish a drop to this device's twin")
    }
    let revision = Revision(ofManifest: [UInt8](manifest))
    if revision == request.current { return .unchanged }
    let signatures = parts[DropLayout.signatures(of: revision)]
    return .changed(
      FetchedState(
        manifest: [UInt8](manifest), signatures: signatures.map { [[UInt8]($0)] } ?? [],
        origin: Origin(path: source), documents: TwinDocuments(parts: parts)))
  }
}
