extension Verifier {
  /// What was found to vouch for a state.
  struct Evidence {
    var signers: [Signer] = []
    var channels: [String] = []
  }

  /// Weighs what vouches for a state against the policy.
  func weigh(_ state: FetchedState, _ endorsements: [Endorsement]) throws(VerificationError) -> Evidence {
    var evidence = Evidence()
    for endorsement in endorsements {
      switch endorsement {
      case .signer(let signer): evidence.signers.append(signer)
      case .channel(let description): evidence.channels.append(description)
      }
    }
    switch policy.requirement {
    case .unsigned:
      return evidence
    case .channel:
      guard !evidence.channels.isEmpty else {
        throw VerificationError(
          .signatureMissing,
          "the policy trusts an authenticated channel, and this source has none; use signatures (--trust)")
      }
      return evidence
    case .signatures(_, let threshold):
      // A source's own evidence may be enough; then the manifest need not be signed as well.
      if Set(evidence.signers.map(\.key)).count >= threshold { return evidence }
      if state.signatures.isEmpty, evidence.signers.isEmpty {
        throw VerificationError(
          .signatureMissing,
          state.isSynthesised
            ? "the source has no manifest, so nothing in it can be signed; publish a signed drop, or accept it with --accept-unsigned"
            : "no signature for \(state.revision) is there (signatures/\(state.revision.digest.fileName).sig); if it is being copied it will be seen at the next look"
        )
      }
      evidence.signers += try signers(of: state.manifest, signatures: state.signatures, namespace: "desired-state")
      var seen: Set<String> = []
      evidence.signers = evidence.signers.filter { seen.insert($0.key).inserted }
      guard evidence.signers.count >= threshold else {
        throw VerificationError(
          .thresholdNotMet,
          "\(evidence.signers.count) of the \(threshold) distinct trusted keys the policy asks for have signed",
          evidence: evidence.signers.map(\.description))
      }
      return evidence
    }
  }
}
