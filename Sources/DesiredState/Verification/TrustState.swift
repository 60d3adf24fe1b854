public import FoundationEssentials

/// The trust update that a device follows: durable, and never replaced by an earlier one.
public struct TrustState: Sendable, Equatable, Codable {
  /// Its number.
  public var version: UInt64
  /// How many distinct keys must sign a manifest.
  package var threshold: Int
  /// How many distinct keys must sign the next trust update.
  package var trustThreshold: Int
  /// The text of the allowed signers.
  package var allowedSigners: String
  /// Revoked keys, one a line.
  package var revoked: String
  /// When it was made, if it says so.
  package var issued: Date?
  /// When this device took it over, by its own clock.
  public var at: Date
  /// Whose signatures counted, of the trust before and of its own.
  public var signers: [Signer]
  /// The digests of the newest updates that led here, this one's last: where a source shows another chain, they say
  /// where it parts.
  var digests: [Digest]

  static let maximumDigestCount = 64

  init(_ update: TrustUpdate, digest: Digest, after before: TrustState?, signers: [Signer], at time: Date) {
    version = update.version
    threshold = update.threshold
    trustThreshold = update.trustThreshold
    allowedSigners = update.allowedSigners
    revoked = update.revoked
    issued = update.issued
    at = time
    self.signers = signers
    digests = Array(((before?.digests ?? []) + [digest]).suffix(Self.maximumDigestCount))
  }

  /// The update that this is.
  var update: TrustUpdate {
    TrustUpdate(
      version: version, threshold: threshold, trustThreshold: trustThreshold, allowedSigners: allowedSigners,
      revoked: revoked, issued: issued)
  }

  /// The digest of the update with a number, if it is remembered.
  func digest(of number: UInt64) -> Digest? {
    guard number <= version, version - number < UInt64(digests.count) else { return nil }
    return digests[digests.count - 1 - Int(version - number)]
  }
}
