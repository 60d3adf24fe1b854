import DesiredState
import DesiredStateSupport

/// The evidence for the state of a plain tree: the signatures of its commit, and that it follows on the adopted one.
struct SignedCommit: StateEvidence {
  let revision: Revision
  let target: TargetSignatures
  let succession: Succession
  /// Whether the reference is a tag that the device did not follow when it adopted, and that is newer than what it did:
  /// an operator named it on the device.
  let isLaterTag: Bool

  func endorsements(by verifier: Verifier) throws(VerificationError) -> [Endorsement] {
    let signers = try Self.signers(of: target, by: verifier)
    try checkSuccession(by: verifier)
    return signers.map(Endorsement.signer) + [.successor]
  }

  /// Whose trusted signatures the commit, or the tag that leads to it, carries; empty if the policy asks for none.
  ///
  /// - Throws: ``VerificationError`` with `signature-missing`, `signature-invalid` or `signer-untrusted`.
  static func signers(of target: TargetSignatures, by verifier: Verifier) throws(VerificationError) -> [Signer] {
    guard verifier.policy.requiresSignatures else { return [] }
    let commit = "commit \(target.commit)"
    if let name = target.misplacedTag {
      throw VerificationError(
        .signatureInvalid,
        "the tag that leads to \(commit) is named \(quoted(name)) and stands under another name; push it under its own",
        evidence: [commit])
    }
    guard !target.signatures.isEmpty else {
      throw VerificationError(
        .signatureMissing, "\(commit) is not signed; sign it with 'git commit -S' and gpg.format=ssh",
        evidence: [commit])
    }
    var signers: [Signer] = []
    var failure: VerificationError?
    for signature in target.signatures {
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
      failure.evidence.insert(commit, at: 0)
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

  /// - Throws: ``VerificationError`` with `behind` or `history-rewritten` if the commit does not follow on the adopted one.
  private func checkSuccession(by verifier: Verifier) throws(VerificationError) {
    let commit = "commit \(target.commit)"
    switch succession {
    case .free, .follows: return
    case .behind(let adopted):
      if try isNamedAnew(by: verifier) { return }
      throw VerificationError(
        .behind,
        "\(commit) is older than the adopted commit \(adopted): the mirror is behind, or the branch was set back; it counts again when it has caught up",
        evidence: [commit, "adopted commit \(adopted)"])
    case .rewritten(let adopted, let isCut):
      if try isNamedAnew(by: verifier) { return }
      let reason =
        isCut
        ? "\(commit) does not show the adopted commit \(adopted) among the ancestors that were looked at: the branch was rewritten, or is very far ahead"
        : "\(commit) does not descend from the adopted commit \(adopted): the branch was rewritten"
      throw VerificationError(
        .historyRewritten, "\(reason); publish on top of the adopted commit, or allow it with 'history=any'",
        evidence: [commit, "adopted commit \(adopted)"])
    }
  }

  /// Whether an operator named a later tag on the device, and the tag itself is signed: then nothing that the server does
  /// can have chosen it.
  private func isNamedAnew(by verifier: Verifier) throws(VerificationError) -> Bool {
    guard isLaterTag, let tag = target.tag, verifier.policy.requiresSignatures else { return false }
    return try !Self.signers(of: tag.signature, by: verifier).isEmpty
  }
}
