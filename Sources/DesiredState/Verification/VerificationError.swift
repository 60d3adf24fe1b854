import DesiredStateSupport

/// A state was looked at and refused. The last good state stays.
public struct VerificationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Why, in one word that programs and orchestrators can match.
  public struct Code: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }

    /// No signature came with the manifest (yet).
    public static let signatureMissing = Code(rawValue: "signature-missing")
    /// A signature does not fit the manifest, or cannot be read.
    public static let signatureInvalid = Code(rawValue: "signature-invalid")
    /// The signature is good, but its key is not trusted for this, now.
    public static let signerUntrusted = Code(rawValue: "signer-untrusted")
    /// Too few distinct trusted keys signed.
    public static let thresholdNotMet = Code(rawValue: "threshold-not-met")
    /// Bytes do not have the digest the manifest gives them.
    public static let digestMismatch = Code(rawValue: "digest-mismatch")
    /// The version is below one this device has adopted.
    public static let versionRollback = Code(rawValue: "version-rollback")
    /// The version was adopted before, with other content.
    public static let versionEquivocation = Code(rawValue: "version-equivocation")
    /// The source's history no longer contains the adopted state.
    public static let historyRewritten = Code(rawValue: "history-rewritten")
    /// The source is older than the adopted state, and may catch up: a mirror, perhaps.
    public static let behind = Code(rawValue: "behind")
    /// The manifest's time is over.
    public static let expired = Code(rawValue: "expired")
    /// The manifest's time of issue is further ahead of this device's clock than can be believed.
    public static let timeJump = Code(rawValue: "time-jump")
    /// The manifest names another device.
    public static let wrongDevice = Code(rawValue: "wrong-device")
    /// The manifest cannot be read as one.
    public static let manifestMalformed = Code(rawValue: "manifest-malformed")
    /// A count or size is over its limit.
    public static let limitExceeded = Code(rawValue: "limit-exceeded")
    /// A document the manifest names is not at the source (yet).
    public static let documentMissing = Code(rawValue: "document-missing")
    /// Two documents have one id.
    public static let duplicateDocument = Code(rawValue: "duplicate-document")
    /// A document's id cannot safely be a file's name.
    public static let unsafeDocumentID = Code(rawValue: "unsafe-document-id")
    /// A digest is not SHA-256.
    public static let unsupportedDigest = Code(rawValue: "unsupported-digest")
    /// The manifest was made longer ago than this device allows, or does not say when.
    public static let tooOld = Code(rawValue: "too-old")
    /// The manifest names no device, and this one demands that it does.
    public static let deviceMissing = Code(rawValue: "device-missing")
    /// A plain tree where a drop is followed or demanded, or the other way round.
    public static let wrongContent = Code(rawValue: "wrong-content")
    /// The manifest needs a trust update that is not at the source (yet).
    public static let trustMissing = Code(rawValue: "trust-missing")
    /// A trust update is not signed as it must be, or cannot be read, or belongs to another chain.
    public static let trustInvalid = Code(rawValue: "trust-invalid")
    /// The version is too far ahead to be believed.
    public static let versionJump = Code(rawValue: "version-jump")
  }

  /// Why the state was refused.
  public var code: Code
  /// The finding and the remedy, in words. Text from outside in it is made safe to show.
  public let reason: String
  /// What the decision rests on: the keys that signed, for instance.
  public var evidence: [String] { didSet { evidence = evidence.map { printable($0) } } }
  /// The version the manifest claims, where it was read.
  public var version: UInt64?

  /// The document whose bytes were refused, where the refusal is of a single document.
  public var document: DocumentReference?
  /// What the document's source said tells its bytes from others.
  var fingerprint: String?
  /// Nothing was read: what was found before still stands.
  var isRepeated = false

  /// A refusal with this code.
  public init(_ code: Code, _ reason: String, evidence: [String] = [], version: UInt64? = nil) {
    self.code = code
    self.reason = printable(reason)
    self.evidence = evidence.map { printable($0) }
    self.version = version
  }

  /// Whether the refusal may be over soon, because a publication was caught half-way or this device's clock is wrong: such
  /// a refusal is not remembered, and the source is looked at again at every poll.
  public var isTransient: Bool { [.signatureMissing, .documentMissing, .trustMissing, .timeJump].contains(code) }

  public var description: String { "\(code): \(reason)" }
}
