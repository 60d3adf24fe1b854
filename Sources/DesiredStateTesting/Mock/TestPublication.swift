public import DesiredState
public import FoundationEssentials

/// A state ready to be published: documents, the manifest that names them, and signatures over the manifest.
///
/// A source that holds drops publishes ``files`` in their order; one that makes its own manifests takes ``version`` and
/// ``documents``.
public struct TestPublication: Sendable, Hashable {
  /// A part of a publication that can be missing or wrong.
  public enum Part: Sendable, Hashable, CustomStringConvertible {
    /// The manifest.
    case manifest
    /// All its signatures.
    case signatures
    /// The document with this id.
    case document(String)

    public var description: String {
      switch self {
      case .manifest: "the manifest"
      case .signatures: "the signature"
      case .document(let id): "document '\(id)'"
      }
    }
  }

  /// The version the manifest bears.
  public let version: UInt64
  /// Every document's bytes, by id.
  public let documents: [String: [UInt8]]
  /// The manifest's exact bytes.
  public let manifest: [UInt8]
  /// The armored signatures over ``manifest``, one after the other in one file; empty without a signer.
  public let signatures: [UInt8]

  /// The trust updates that are published with it.
  public let trustUpdates: [TrustUpdateFile]

  /// A trust update, as a drop holds it.
  public struct TrustUpdateFile: Sendable, Hashable {
    /// The number that its file bears.
    public var number: UInt64
    /// The update's exact bytes.
    public var update: [UInt8]
    /// The armored signatures over them.
    public var signatures: [UInt8]

    /// An update whose parts were made by hand, wrong ones too.
    public init(number: UInt64, update: [UInt8], signatures: [UInt8]) {
      self.number = number
      self.update = update
      self.signatures = signatures
    }
  }

  /// Puts a state together as `desired-state publish` does.
  ///
  /// - Parameters:
  ///   - version: the manifest's version.
  ///   - documents: the documents by id.
  ///   - device: the device that it names; nil for any.
  ///   - issued: when it was made; nil: it does not say.
  ///   - expires: when it expires; nil for never.
  ///   - signers: who signs it.
  ///   - withSizes: whether the manifest says how long each document is.
  ///   - trust: the number of the trust update that the manifest needs; nil for none.
  ///   - trustUpdates: the updates that are published with it.
  public init(
    version: UInt64, documents: [String: [UInt8]], device: String? = nil, issued: Date? = nil, expires: Date? = nil,
    signers: [TestSigner] = [TestSigner()], withSizes: Bool = true, trust: UInt64? = nil,
    trustUpdates: [TrustUpdateFile] = []
  ) {
    self.version = version
    self.documents = documents
    self.trustUpdates = trustUpdates
    let references = documents.sorted { $0.key < $1.key }.map { id, bytes in
      let digest = Digest.of(bytes)
      return DocumentReference(
        id: id, digest: digest, advisorySize: withSizes ? UInt64(bytes.count) : nil, url: "documents/\(digest.fileName)"
      )
    }
    manifest = StateManifest(
      version: version, documents: references, device: device, issued: issued, expires: expires, trust: trust
    ).encoded()
    signatures = signers.flatMap { [manifest] signer in signer.sign(manifest) }
  }

  /// A state whose parts were made by hand, wrong ones too.
  public init(version: UInt64, documents: [String: [UInt8]], manifest: [UInt8], signatures: [UInt8]) {
    self.version = version
    self.documents = documents
    trustUpdates = []
    self.manifest = manifest
    self.signatures = signatures
  }

  /// The revision: the digest of ``manifest``.
  public var revision: Revision { Revision(ofManifest: manifest) }

  /// The digest of a document; nil if there is none with this id.
  public func digest(of id: String) -> Digest? { documents[id].map { Digest.of($0) } }

  /// A file of a drop.
  public struct File: Sendable, Hashable {
    /// Where it belongs, relative to the drop.
    public let path: String
    /// What it holds.
    public let bytes: [UInt8]
    /// Which part of the publication it is; trust updates are a part of the signatures.
    public let part: Part
  }

  /// The drop that this publication is, in the order in which it must be published: documents, signatures, and
  /// `manifest.json` last.
  public var files: [File] {
    var files = documents.sorted { $0.key < $1.key }.map { id, bytes in
      File(path: "documents/\(Digest.of(bytes).fileName)", bytes: bytes, part: .document(id))
    }
    if !signatures.isEmpty {
      files.append(File(path: "signatures/\(revision.digest.fileName).sig", bytes: signatures, part: .signatures))
    }
    for update in trustUpdates {
      let path = DropLayout.trustUpdate(update.number)
      files.append(File(path: path + ".sig", bytes: update.signatures, part: .signatures))
      files.append(File(path: path, bytes: update.update, part: .signatures))
    }
    files.append(File(path: "manifest.json", bytes: manifest, part: .manifest))
    return files
  }

  /// Bytes with one bit changed in the middle of them: what tampering, or a bad disk, makes of them.
  public static func corrupted(_ bytes: [UInt8]) -> [UInt8] {
    guard !bytes.isEmpty else { return [0] }
    var bytes = bytes
    bytes[bytes.count / 2] ^= 1
    return bytes
  }
}
