public import DesiredState
import DesiredStateSupport
import FileBackend
import FoundationEssentials

/// What a publication would be, before it is one.
public struct PublicationPlan: Sendable {
  /// The manifest; its version is the one that it would have now.
  public let manifest: StateManifest
  /// The state that is published now, if one is and can be read.
  public let before: StateManifest?
  /// What devices may refuse, as ``Publication/warnings``.
  public let warnings: [String]

  init(_ manifest: StateManifest, after before: StateManifest?) {
    self.manifest = manifest
    self.before = before
    warnings = before.map { Publication.warnings(of: manifest, after: $0) } ?? []
  }

  /// How the documents would differ from those that are published now.
  package var difference: StateDifference { StateDifference(from: before?.documents ?? [], to: manifest.documents) }

  /// Whether devices would learn nothing from it: the same documents for the same device under the same keys, without an end.
  public var isUnchanged: Bool {
    guard let before, difference.changes.isEmpty else { return false }
    return before.documents.map(\.id) == manifest.documents.map(\.id) && before.device == manifest.device
      && before.trust == manifest.trust && before.expires == nil && manifest.expires == nil
      && manifest.bundle == before.bundle
  }
}

extension DropWriter {
  /// What ``publish(_:options:signer:)`` would publish. Nothing is written, and no publisher is held up.
  ///
  /// - Throws: as that does.
  public func plan(_ documents: [DocumentFile], options: PublicationOptions) async throws -> PublicationPlan {
    try check(documents, options)
    return try await worker.run {
      for document in documents { try checkOutside(document) }
      let (version, before) = try nextVersion(options) {
        DropLayout.isBundle(path) ? try BundleManifest.read(path, limits: limits) : try publishedManifestIfAny()
      }
      let manifest = StateManifest(
        version: version, documents: try references(to: documents), device: options.device, issued: options.issued,
        expires: options.expires, trust: try TrustFolder(options.trustUpdates ?? path).newest(),
        message: options.message)
      return PublicationPlan(manifest, after: before)
    }
  }

  /// Whether the state in place has a signature, by any key.
  ///
  /// - Throws: `FileError`.
  public func isSigned() async throws -> Bool {
    try await worker.run {
      guard let bytes = try publishedManifestIfAny(), let bytes else { return false }
      return try !signatures(of: Revision(ofManifest: bytes)).isEmpty
    }
  }

  /// The manifest in place; `.some(nil)` if there is none, or no drop yet.
  private func publishedManifestIfAny() throws -> [UInt8]?? {
    FileStatus(at: path) == nil ? .some(nil) : try publishedManifest()
  }
}
