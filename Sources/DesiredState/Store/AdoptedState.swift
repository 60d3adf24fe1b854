public import FoundationEssentials

/// A state that was verified and made durable.
public struct AdoptedState: Sendable, Equatable, Codable {
  /// The state.
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
  var policy: String
  /// By what each of the signers signed, in their order; nil in a record of an earlier program.
  var credentials: [SigningCredential?]?
}

/// A state whose documents the agent has finished putting to work.
public struct AppliedState: Sendable, Equatable, Codable {
  /// The state.
  public var revision: Revision
  /// The manifest's version; nil if the source has none.
  public var version: UInt64?
  /// Whose signatures counted when it was adopted.
  var signers: [Signer]
  /// The source that brought it.
  public var source: String
  /// Where it came from, in the source's own terms.
  public var origin: Origin
  /// When applying it was finished, by the device's clock.
  public var at: Date
}
