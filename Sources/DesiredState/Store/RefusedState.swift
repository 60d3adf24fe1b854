public import FoundationEssentials

/// A state that a source offers and this device refused, and why.
public struct RefusedState: Sendable, Equatable, Codable {
  /// Nil if the manifest could not even be read.
  public var revision: Revision?
  /// The version it claims, where that was read.
  public var version: UInt64?
  public var code: VerificationError.Code
  public var reason: String
  /// What was looked at when the decision fell.
  public var evidence: [String]
  public var source: String
  /// Where it came from, in the source's own terms; nil if not even that was read.
  public var origin: Origin?
  public var at: Date
  /// The document whose bytes were wrong, and the fingerprint its source gave for them: while that stands, reading
  /// them again would only find the same.
  var spoiled: SpoiledDocument?

  struct SpoiledDocument: Sendable, Equatable, Codable {
    var digest: Digest
    var fingerprint: String
  }

  /// Whether it tells an operator the same as another, whenever it was found.
  func tellsTheSame(as other: RefusedState) -> Bool {
    revision == other.revision && code == other.code && source == other.source
  }
}
