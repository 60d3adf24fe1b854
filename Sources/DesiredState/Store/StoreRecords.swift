public import FoundationEssentials

/// A state that was verified and made durable.
public struct AdoptedState: Sendable, Equatable, Codable {
  public var revision: Revision
  /// The manifest's version; nil if the source has none.
  public var version: UInt64?
  /// Whose signatures counted.
  public var signers: [Signer]
  /// The source that brought it.
  public var source: String
  /// Where it came from, in the source's own terms.
  public var origin: Origin
  /// Whether its source keeps a history that shows what it follows on.
  var hasHistory: Bool
  /// When it was adopted, by the device's clock.
  public var at: Date
  /// When the manifest expires, if it says so.
  public var expires: Date?
  /// When the manifest was issued, if it says so.
  public var issued: Date?
  /// ``TrustPolicy/fingerprint`` of the policy it was verified under.
  public var policy: String
}

/// A state whose documents the agent has finished putting to work.
public struct AppliedState: Sendable, Equatable, Codable {
  public var revision: Revision
  public var version: UInt64?
  public var signers: [Signer]
  public var source: String
  /// Where it came from, in the source's own terms.
  public var origin: Origin
  /// When applying it was finished, by the device's clock.
  public var at: Date
}

/// The newest state that was refused, and why.
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
}

/// How the last look at a source went.
public struct SourceHealth: Sendable, Equatable, Codable {
  /// When the source last answered.
  public var lastContact: Date?
  /// Why it did not answer the last time; nil if it did.
  public var lastError: Failure?
  /// What is missing there, as of the last contact; nil if it publishes a state.
  public var absent: Absence?

  public struct Failure: Sendable, Equatable, Codable {
    public var code: BackendError.Code
    public var message: String
    public var at: Date
  }
}

extension BackendError.Code: Codable {}

/// What `state.json` holds: everything that must change together, in one file, replaced atomically.
struct StoreRecord: Sendable, Equatable, Codable {
  static let currentFormat = 1

  var format = Self.currentFormat
  var adopted: AdoptedState?
  var applied: AppliedState?
  var floor: VersionFloor?
  /// The newest `issued` of any signed manifest adopted so far.
  var newestSigned: Date?
  var refused: RefusedState?
  /// The revisions whose manifests and documents are kept, newest first.
  var kept: [Revision] = []
  /// The trust update that the device follows; nil for the trust that it was set up with.
  var trust: TrustState?
  /// Those signers of the adopted state whose keys were revoked since.
  var revokedSigners: [Signer]?
  /// What each source gave as its marker.
  var markers: [String: String] = [:]
}
