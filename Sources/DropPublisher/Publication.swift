public import DesiredState
import DesiredStateSupport
public import FoundationEssentials

/// Signs manifests: with a key file, an agent, a hardware token, a signing service.
public protocol ManifestSigner: Sendable {
  /// One or more armored SSH signatures (`ssh-keygen -Y sign -n desired-state`) over a manifest's exact bytes,
  /// concatenated.
  ///
  /// - Throws: anything; nothing is published then.
  func sign(_ manifest: [UInt8]) async throws -> [UInt8]
}

/// A file that is to be published as a document.
public struct DocumentFile: Sendable, Hashable {
  /// The document's id: see `DocumentID`.
  public var id: String
  /// Where the file is.
  public var path: String

  /// The file at a path, as the document with this id.
  public init(id: String, path: String) {
    self.id = id
    self.path = path
  }
}

/// The options of a publication.
public struct PublicationOptions: Sendable {
  /// The version; nil for the one after the published one, or 1.
  public var version: UInt64?
  /// The only device that may adopt the state; nil for any.
  public var device: String?
  /// When the state was issued.
  public var issued: Date
  /// When the state ceases to be good; nil for never.
  public var expires: Date?
  /// Whether the drop also gets one archive with all documents, which the manifest names as its `bundle`.
  public var bundle: Bool
  /// Whether documents, signatures and bundles that the new manifest does not name are removed when it is in place.
  /// A device that is in the middle of adopting the state before will have to look again.
  public var prune: Bool
  /// A drop whose trust updates a bundle takes along; nil for none. A drop directory has its own.
  public var trustUpdates: String?
  /// Why the state is published, in words for operators; signed with the rest.
  public var message: String?
  /// The documents of the drops that this one is published with; see ``SharedDocuments``.
  public var sharedDocuments: SharedDocuments?
  /// Told how many bytes were read or written since it was told last, for people who wait. A document that is longer than
  /// 256 KiB is read to learn its digest, and again to be copied.
  public var progress: (@Sendable (Int) -> Void)?

  /// Options; without arguments, those of the next version for every device, without an end.
  public init(
    version: UInt64? = nil, device: String? = nil, issued: Date = Date(), expires: Date? = nil, bundle: Bool = false,
    prune: Bool = false, trustUpdates: String? = nil, message: String? = nil, sharedDocuments: SharedDocuments? = nil
  ) {
    self.version = version
    self.device = device
    self.issued = issued
    self.expires = expires
    self.bundle = bundle
    self.prune = prune
    self.trustUpdates = trustUpdates
    self.message = message
    self.sharedDocuments = sharedDocuments
  }
}

/// A state as it was published.
public struct Publication: Sendable {
  /// The digest of the manifest.
  public let revision: Revision
  /// The manifest.
  public let manifest: StateManifest
  /// Whether signatures were written with it.
  public let isSigned: Bool
  /// What devices that follow the version before may refuse, in words: what that one says of itself they may demand.
  public let warnings: [String]

  static func warnings(of manifest: StateManifest, after before: StateManifest) -> [String] {
    var warnings: [String] = []
    if before.expires != nil, manifest.expires == nil {
      warnings.append(
        "the version before expires and this one never does; a device that demands an expiry refuses it: "
          + "publish with an expiry")
    }
    if let device = before.device, manifest.device == nil {
      warnings.append(
        "the version before names device \(quoted(device)) and this one names none; a device that demands its name "
          + "refuses it: publish for the device")
    }
    return warnings
  }
}
