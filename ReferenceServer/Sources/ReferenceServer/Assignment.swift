import DesiredState
import DropPublisher
import FileBackend
import FoundationEssentials

/// The state for one client: read from the operator's directory, and published from there into a drop of the server's
/// own, whose manifest's version goes up with every change and survives a restart.
///
/// An operator's drop keeps its version, which has to be above the last one served. A plain directory has none and gets
/// the next. A directory that is empty publishes nothing, and the earlier publication stands: an explicitly empty
/// state is an empty drop.
actor Assignment {
  private let source: FileBackend
  private let writer: DropWriter
  private let drop: String
  private let staging: String
  private var published: StateManifest?
  /// The source's state when it was last compared with the publication.
  private var seen: Revision?
  private var newest: Task<StateManifest?, any Error>?

  init(directory: String, records: String) {
    source = FileBackend(path: directory)
    drop = "\(records)/published"
    staging = "\(records)/staging"
    writer = DropWriter(path: drop)
  }

  /// The published state, after a poll of the operator's directory; nil if nothing was ever published. Its `url`s are
  /// those of the drop.
  func current() async throws -> StateManifest? {
    // One after another: two requests must not publish the same change twice, and a request sees every change that was
    // made before it came.
    let previous = newest
    let look = Task {
      _ = await previous?.result
      return try await self.look()
    }
    newest = look
    return try await look.value
  }

  /// A document of this state or an earlier one.
  func document(_ id: String, _ digest: Digest) async throws -> [UInt8]? {
    if let manifest = try await current() {
      let namesakes = manifest.documents.filter { $0.digest == digest }
      guard namesakes.isEmpty || namesakes.contains(where: { $0.id == id }) else { return nil }
    }
    return try await Disk.run { [drop] in try Disk.read("\(drop)/documents/\(digest.fileName)") }
  }

  /// The archive of all documents of this state or an earlier one.
  func bundle(_ digest: Digest) async throws -> [UInt8]? {
    try await Disk.run { [drop] in try Disk.read("\(drop)/bundles/\(digest.fileName).tar.gz") }
  }

  private func look() async throws -> StateManifest? {
    if published == nil {
      let bytes = try await Disk.run { [drop] in try Disk.read("\(drop)/manifest.json") }
      published = try bytes.map { try StateManifest(parsing: $0) }
    }
    guard case .changed(let state) = try await source.fetch(FetchRequest(current: seen)).outcome else {
      return published
    }
    var wanted = try StateManifest(parsing: state.manifest, requiresVersion: !state.isSynthesised)
    if state.isSynthesised {
      for index in wanted.documents.indices {
        wanted.documents[index].id = Self.deploymentID(wanted.documents[index].id)
      }
    }
    if !isPublished(wanted) { published = try await publish(wanted, from: state) }
    seen = state.revision
    return published
  }

  private func isPublished(_ wanted: StateManifest) -> Bool {
    guard let published, wanted.version == nil || wanted.version == published.version else { return false }
    // Two lists of the same ids and digests, whatever their urls and order.
    func identity(_ manifest: StateManifest) -> Set<String> {
      Set(manifest.documents.map { "\($0.digest) \($0.id)" })
    }
    return identity(wanted) == identity(published) && wanted.device == published.device
      && wanted.expires == published.expires
  }

  /// Documents are copied first: the served bytes must not change while the original is edited.
  private func publish(_ wanted: StateManifest, from state: FetchedState) async throws -> StateManifest {
    let original = try StateManifest(parsing: state.manifest, requiresVersion: false).documents
    var files: [DocumentFile] = []
    try await Disk.run { [staging] in _ = try Disk.remove(staging) }
    for (index, reference) in original.enumerated() {
      var bytes: [UInt8] = []
      for try await chunk in try await state.documents.open(reference) { bytes += chunk }
      guard Digest.of(bytes) == reference.digest else {
        throw ReferenceServerError("document '\(reference.id)' changed while it was read; the next request sees it")
      }
      let path = "\(staging)/\(index)"
      try await Disk.run { [bytes] in try Disk.replace(path, with: bytes) }
      files.append(DocumentFile(id: wanted.documents[index].id, path: path))
    }
    let publication = try await writer.publish(
      files,
      options: PublicationOptions(
        version: wanted.version, device: wanted.device, issued: wanted.issued ?? Date(), expires: wanted.expires,
        bundle: true))
    try await Disk.run { [staging] in _ = try Disk.remove(staging) }
    return publication.manifest
  }

  /// The file `press.yaml` is the deployment `press`.
  private static func deploymentID(_ path: String) -> String {
    for ending in [".yaml", ".yml"] where path.hasSuffix(ending) { return String(path.dropLast(ending.count)) }
    return path
  }
}
