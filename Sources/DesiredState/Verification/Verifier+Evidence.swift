import DesiredStateSupport
import SSHSignatures

extension Verifier {
  /// What the evidence comes to.
  struct Findings {
    var signers: [Signer] = []
    var channels: [String] = []
    /// Whether the source's history shows that the state follows on the adopted one.
    var isSuccessor = false

    mutating func add(_ endorsement: Endorsement) {
      switch endorsement {
      case .signer(let signer): if !signers.contains(where: { $0.key == signer.key }) { signers.append(signer) }
      case .channel(let description): channels.append(description)
      case .successor: isSuccessor = true
      }
    }
  }

  /// Weighs the evidence for a state against the policy.
  func weigh(_ state: FetchedState) throws(VerificationError) -> Findings {
    var findings = Findings()
    for evidence in state.evidence where evidence.revision == state.revision {
      for endorsement in try evidence.endorsements(by: self) { findings.add(endorsement) }
    }
    switch policy.requirement {
    case .unsigned: break
    case .channel:
      guard !findings.channels.isEmpty else {
        throw VerificationError(
          .signatureMissing,
          "the policy trusts an authenticated channel, and this source has none; trust signatures instead")
      }
    case .signatures(_, let threshold):
      // A source's own evidence may be enough; then the manifest need not be signed as well.
      if findings.signers.count >= threshold { break }
      try addManifestSigners(of: state, to: &findings)
      guard findings.signers.count >= threshold else {
        throw VerificationError(
          .thresholdNotMet,
          "\(findings.signers.count) of the \(threshold) distinct trusted keys the policy asks for have signed",
          evidence: findings.signers.map(\.description))
      }
    }
    return findings
  }

  private func addManifestSigners(of state: FetchedState, to findings: inout Findings) throws(VerificationError) {
    guard !state.signatures.isEmpty else {
      guard findings.signers.isEmpty else { return }
      throw VerificationError(
        .signatureMissing,
        state.isSynthesised
          ? "the source has no manifest, so nothing in it can be signed; publish a signed drop, or accept unsigned states"
          : "no signature for \(state.revision) is there (\(DropLayout.signatures(of: state.revision))); if it is being copied it will be seen at the next poll"
      )
    }
    for signer in try signers(of: state.manifest, signatures: state.signatures, namespace: "desired-state") {
      findings.add(.signer(signer))
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
    try signers(of: message, signatures: signatures, namespace: namespace, named: policy.requiresNamespaces)
  }

  /// - Parameters:
  ///   - named: whether a key counts only if its line names the namespace.
  ///   - principal: in whose name it must have signed; nil for any.
  package func signers(
    of message: [UInt8], signatures: [[UInt8]], namespace: String, named: Bool, principal: String? = nil
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
            if let revocation = policy.revocation(of: signature) {
              untrusted.append("\(signature.publicKey): \(revocation)")
              continue
            }
            switch allowed.trust(
              of: signature, namespace: namespace, named: named, principal: principal, at: time)
            {
            case .trusted(let principals):
              if !signers.contains(where: { $0.key == key }) {
                var signer = Signer(principals: principals, key: key)
                signer.credential = SigningCredential(signature)
                signers.append(signer)
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
