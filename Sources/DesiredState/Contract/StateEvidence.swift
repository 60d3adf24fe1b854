/// Something that speaks for a fetched state beside its manifest's own signatures: a signed commit with its ancestry, a
/// signed HTTP message, an authenticated channel.
///
/// A backend attaches it to the ``FetchedState`` when it fetches. It counts for nothing until a ``Verifier`` weighs it,
/// and for nothing if it is lost on the way: a state without it is refused where the policy asks for it.
public protocol StateEvidence: Sendable {
  /// The state it speaks for. For another one it counts for nothing.
  var revision: Revision { get }

  /// What this evidence endorses under the verifier's policy and time.
  ///
  /// - Throws: ``VerificationError`` if it shows that the state must be refused.
  func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement]
}

/// What a piece of evidence says of a state, once it is weighed.
public enum Endorsement: Sendable, Hashable {
  /// A signature over something that fixes the state (a Git commit), by a key that
  /// ``Verifier/signers(of:signatures:namespace:)`` found trusted.
  case signer(Signer)
  /// The source proved who it is; the text says how, for the operator.
  case channel(String)
  /// The source keeps a history, and it shows that this state follows on the adopted one, or that none was adopted.
  case successor
}

/// The source proved who it is, by TLS for instance, and gave the state over that channel.
public struct AuthenticatedChannel: StateEvidence, Hashable {
  public let revision: Revision
  /// How the source proved who it is, in words for the operator.
  public let description: String

  /// A channel that gave the state with this revision.
  public init(_ description: String, gave revision: Revision) {
    self.revision = revision
    self.description = description
  }

  public func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] {
    [.channel(description)]
  }
}
