import SSHSignatures

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
      if !state.signatures.isEmpty {
        evidence.signers += try signers(of: state.manifest, signatures: state.signatures, namespace: "desired-state")
      }
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

extension Verifier {
  /// Whose trusted signatures are over a message: distinct keys, each counted once however often it signed.
  ///
  /// - Parameters:
  ///   - message: the bytes that were signed.
  ///   - signatures: armored SSH signatures, one or several in each.
  ///   - namespace: what the signatures must be for (PROTOCOL.sshsig): `desired-state` for manifests, `git` for commits.
  /// - Throws: ``VerificationError`` with `signature-invalid` or `signer-untrusted` if not one of them counts. One that
  ///   does not count beside one that does is passed over: a publisher may have keys this device does not know.
  public func signers(
    of message: [UInt8], signatures: [[UInt8]], namespace: String
  ) throws(VerificationError) -> [Signer] {
    guard case .signatures(let allowed, _) = policy.requirement else { return [] }
    let message = SSHSignature.Message(message)
    var signers: [Signer] = []
    var untrusted: [String] = []
    var invalid: [String] = []
    for file in signatures {
      do {
        // One by one: a block of a kind that is newer than this device says nothing about the others.
        for parsed in try SSHSignature.parseEach(armored: file) {
          do {
            let signature = try parsed.get()
            try signature.verify(message, namespace: namespace)
            let key = signature.publicKey.fingerprint
            switch allowed.trust(of: signature, namespace: namespace, at: time) {
            case .trusted(let principals):
              if !signers.contains(where: { $0.key == key }) {
                signers.append(Signer(principals: principals, key: key))
              }
            case .untrusted(let reason): untrusted.append("\(signature.publicKey): \(reason)")
            }
          } catch {
            invalid.append("\(error)")
          }
        }
      } catch {
        invalid.append("\(error)")
      }
    }
    if !signers.isEmpty { return signers }
    if !untrusted.isEmpty {
      throw VerificationError(
        .signerUntrusted, "no key that signed is trusted for this: \(untrusted.joined(separator: "; "))",
        evidence: untrusted + invalid)
    }
    throw VerificationError(
      .signatureInvalid,
      "no signature fits: \(invalid.isEmpty ? "the file holds none" : invalid.joined(separator: "; "))",
      evidence: invalid)
  }
}
