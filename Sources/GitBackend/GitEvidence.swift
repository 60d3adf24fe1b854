import DesiredState

/// What vouches for the state of a plain tree: the signatures of its commit, and that it follows on the adopted one.
struct GitEvidence: Sendable {
  let commit: ObjectID
  let signatures: [ObjectSignature]
  /// How the commit stands to the adopted one; nil if none was adopted, or history does not matter (`history=any`).
  let history: (adopted: ObjectID, descent: Ancestry)?

  /// Whose trusted signatures the commit, or the tag that leads to it, carries.
  ///
  /// - Throws: ``VerificationError`` with `signature-missing`, `signature-invalid` or `signer-untrusted`.
  func signers(by verifier: Verifier) throws(VerificationError) -> [Signer] {
    guard case .signatures = verifier.policy.requirement else { return [] }
    guard !signatures.isEmpty else {
      throw VerificationError(
        .signatureMissing,
        "commit \(commit) is not signed; sign it with 'git commit -S' and gpg.format=ssh",
        evidence: ["commit \(commit)"])
    }
    var signers: [Signer] = []
    var failure: VerificationError?
    for signature in signatures {
      do {
        for signer in try Self.signers(of: signature, by: verifier)
        where !signers.contains(where: { $0.key == signer.key }) {
          signers.append(signer)
        }
      } catch {
        failure = failure ?? error
      }
    }
    if signers.isEmpty, var failure {
      failure.evidence.insert("commit \(commit)", at: 0)
      throw failure
    }
    return signers
  }

  private static func signers(
    of signature: ObjectSignature, by verifier: Verifier
  ) throws(VerificationError) -> [Signer] {
    let kind: String
    switch signature.format {
    case .ssh:
      return try verifier.signers(of: signature.payload, signatures: [signature.signature], namespace: "git")
    case .openPGP: kind = "an OpenPGP signature"
    case .x509: kind = "an X.509 signature"
    case .unknown: kind = "a signature of an unknown kind"
    }
    throw VerificationError(
      .signatureInvalid,
      "\(signature.what) carries \(kind), and only SSH signatures are checked here; sign with gpg.format=ssh")
  }

  /// - Throws: ``VerificationError`` with `history-rewritten` if the commit does not follow on the adopted one.
  func checkHistory() throws(VerificationError) {
    guard let history, case .unproven(let isCut) = history.descent else { return }
    let reason =
      isCut
      ? "commit \(commit) does not show the adopted commit \(history.adopted) among its newest \(RemoteRepository.longestHistory) ancestors: the branch was rewritten, or is very far ahead"
      : "commit \(commit) does not descend from the adopted commit \(history.adopted): the branch was rewritten"
    throw VerificationError(
      .historyRewritten, "\(reason); publish on top of the adopted commit, or allow it with 'history=any'",
      evidence: ["commit \(commit)", "adopted commit \(history.adopted)"])
  }
}
