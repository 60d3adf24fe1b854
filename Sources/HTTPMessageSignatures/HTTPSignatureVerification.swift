public import FoundationEssentials
import HTTPTypes
import RawStructuredFieldValues

/// What a verifier demands of a signature (RFC 9421 section 3.2.1).
public struct HTTPSignatureRequirements: Sendable {
  /// The components that must be covered.
  public var components: [HTTPSignatureComponent]
  /// How long ago it may have been made; nil: any time, also with no `created` at all.
  public var maximumAge: Duration?
  /// How far the signer's clock may be ahead.
  public var clockSkew: Duration
  /// The purpose that it must have; nil: any.
  public var tag: String?

  /// Five minutes of age and one of skew unless said otherwise.
  public init(
    components: [HTTPSignatureComponent], maximumAge: Duration? = .seconds(300), clockSkew: Duration = .seconds(60),
    tag: String? = nil
  ) {
    self.components = components
    self.maximumAge = maximumAge
    self.clockSkew = clockSkew
    self.tag = tag
  }
}

/// A signature that was checked and counts.
public struct HTTPVerifiedSignature: Sendable {
  /// Its label in the message.
  public let label: String
  /// What it covers.
  public let components: [HTTPSignatureComponent]
  /// What the signature says of itself.
  public let parameters: HTTPSignatureParameters
}

extension HTTPSignedMessage {
  /// Checks the message's signatures, and returns the first that meets the requirements.
  ///
  /// Which algorithm counts is the key's to say, never the message's. A body is covered only by way of its digest: see
  /// ``HTTPContentDigest``.
  ///
  /// - Parameters:
  ///   - requirements: what it must cover, and how old it may be.
  ///   - label: the only signature to look at; nil: any.
  ///   - now: the verifier's time.
  ///   - key: finds the key for a signature's parameters; nil if none is known.
  /// - Throws: ``HTTPSignatureError``, of the last signature looked at.
  public func verifySignature(
    _ requirements: HTTPSignatureRequirements, label: String? = nil, at now: Date,
    key: (HTTPSignatureParameters) -> HTTPVerificationKey?
  ) throws(HTTPSignatureError) -> HTTPVerifiedSignature {
    let inputs: OrderedMap<String, ItemOrInnerList>
    let signatures: OrderedMap<String, ItemOrInnerList>
    do {
      inputs = try StructuredFields.dictionary(headerFields[.signatureInput] ?? "")
      signatures = try StructuredFields.dictionary(headerFields[.signature] ?? "")
    } catch {
      throw HTTPSignatureError(.malformed, "Signature-Input or Signature is no dictionary (RFC 9651)")
    }
    var failure = HTTPSignatureError(
      .missing, "the message has no signature" + (label.map { " labelled '\($0)'" } ?? ""))
    for (name, input) in inputs where label == nil || name == label {
      do throws(HTTPSignatureError) {
        return try verify(name, input, signatures[name], requirements, now, key)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private func verify(
    _ label: String, _ input: ItemOrInnerList, _ signature: ItemOrInnerList?,
    _ requirements: HTTPSignatureRequirements, _ now: Date, _ key: (HTTPSignatureParameters) -> HTTPVerificationKey?
  ) throws(HTTPSignatureError) -> HTTPVerifiedSignature {
    guard case .innerList(let list) = input, case .item(let item)? = signature,
      case .undecodedByteSequence(let encoded) = item.rfc9651BareItem, let bytes = Data(base64Encoded: encoded)
    else { throw HTTPSignatureError(.malformed, "signature '\(label)' is not one that RFC 9421 knows") }
    let base = try HTTPSignatureBase(input: list)
    let parameters = try HTTPSignatureParameters(list.rfc9651Parameters)
    if let missing = requirements.components.first(where: { !base.components.contains($0) }) {
      throw HTTPSignatureError(.insufficient, "signature '\(label)' does not cover \(missing)")
    }
    if let tag = requirements.tag, parameters.tag != tag {
      throw HTTPSignatureError(.insufficient, "signature '\(label)' is not tagged '\(tag)'")
    }
    try Self.checkTime(parameters, requirements, now, label)
    guard let key = key(parameters) else {
      throw HTTPSignatureError(.key, "no key is known for signature '\(label)'")
    }
    if let algorithm = parameters.algorithm, algorithm != key.algorithm.rawValue {
      throw HTTPSignatureError(.key, "signature '\(label)' claims another algorithm than its key has")
    }
    guard key.verify(Array(bytes), over: try base.bytes(of: self)) else {
      throw HTTPSignatureError(.invalid, "signature '\(label)' does not fit the message")
    }
    return HTTPVerifiedSignature(label: label, components: base.components, parameters: parameters)
  }

  private static func checkTime(
    _ parameters: HTTPSignatureParameters, _ requirements: HTTPSignatureRequirements, _ now: Date, _ label: String
  ) throws(HTTPSignatureError) {
    let skew = requirements.clockSkew / .seconds(1)
    if let expires = parameters.expires, expires.addingTimeInterval(skew) < now {
      throw HTTPSignatureError(.time, "signature '\(label)' has expired")
    }
    if let created = parameters.created, created.addingTimeInterval(-skew) > now {
      throw HTTPSignatureError(.time, "signature '\(label)' is of the future; see to both clocks")
    }
    guard let maximumAge = requirements.maximumAge else { return }
    guard let created = parameters.created else {
      throw HTTPSignatureError(.time, "signature '\(label)' does not say when it was made")
    }
    guard created.addingTimeInterval(maximumAge / .seconds(1) + skew) >= now else {
      throw HTTPSignatureError(.time, "signature '\(label)' was made too long ago; see to both clocks")
    }
  }
}
