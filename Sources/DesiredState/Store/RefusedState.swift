public import FoundationEssentials

/// A state that a source offers and this device refused, and why.
public struct RefusedState: Sendable, Equatable, Codable {
  /// Nil if the manifest could not even be read.
  public var revision: Revision?
  /// The version it claims, where that was read.
  public var version: UInt64?
  /// Why, as a stable word.
  public var code: VerificationError.Code
  /// Why, in words.
  public var reason: String
  /// The facts that the decision rests on.
  public var evidence: [String]
  /// The source that offers it.
  public var source: String
  /// Where it came from, in the source's own terms; nil if not even that was read.
  public var origin: Origin?
  /// When it was refused, by the device's clock.
  public var at: Date
  /// The document whose bytes were wrong, and the fingerprint its source gave for them: while that stands, reading them
  /// again would probably find the same. But a source may be repaired without a sign of it, so they are, after a while.
  var spoiled: SpoiledDocument?

  struct SpoiledDocument: Sendable, Equatable, Codable {
    var digest: Digest
    var fingerprint: String
    /// When it was last read.
    var readAt: Date
    /// How often it was read and wrong.
    var readings: Int

    /// How long it is not read again, in seconds: longer for a large one, and longer each time, up to ten minutes.
    func pause(size: UInt64?) -> Double {
      min(600, max(30, Double(size ?? 0) / 32768) * Double(1 << min(readings - 1, 5)))
    }
  }

  /// Whether it tells an operator the same as another, whenever it was found.
  func tellsTheSame(as other: RefusedState) -> Bool {
    revision == other.revision && code == other.code && source == other.source
  }
}
