/// Which desired state: the digest of the manifest's exact bytes.
///
/// The same manifest fetched from a disk, a web server or a Git repository is one revision. A source that has no
/// manifest has one synthesised for it, and its digest is the revision.
public struct Revision: Hashable, Sendable, Codable, CustomStringConvertible {
  /// The digest of the manifest's exact bytes.
  public let digest: Digest

  /// The revision whose manifest has this digest.
  public init(_ digest: Digest) { self.digest = digest }

  /// The revision of a manifest at hand.
  public init(ofManifest bytes: [UInt8]) { digest = .of(bytes) }

  public init(from decoder: any Decoder) throws { digest = try Digest(from: decoder) }
  public func encode(to encoder: any Encoder) throws { try digest.encode(to: encoder) }

  /// `sha256:<hex>`.
  public var description: String { digest.description }
}
