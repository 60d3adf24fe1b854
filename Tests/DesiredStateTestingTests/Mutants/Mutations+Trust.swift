import FoundationEssentials
import SSHSignatures

@testable import DesiredState
@testable import DesiredStateTesting

// Mistakes in how trust updates are read and followed: law 20.
extension Mutation {
  /// Serves what manifests name, and nothing else.
  static func hidingTrustUpdates() -> Mutation {
    Mutation(open: { document, reader in
      guard document.url?.hasPrefix(DropLayout.trust + "/") != true else {
        throw VerificationError(.documentMissing, "the manifest names no such document")
      }
      return try await reader.open(document)
    })
  }

  /// Takes files under one name for the same for ever.
  static func keepingTrustUpdates() -> Mutation {
    let kept = Shared<[String: [UInt8]]>([:])
    return Mutation(open: { document, reader in
      guard let url = document.url, url.hasPrefix(DropLayout.trust + "/") else {
        return try await reader.open(document)
      }
      if let bytes = kept.value.withLock({ $0[url] }) { return DocumentBytes(bytes) }
      var bytes: [UInt8] = []
      for try await piece in try await reader.open(document) { bytes += piece }
      kept.value.withLock { [bytes] in $0[url] = bytes }
      return DocumentBytes(bytes)
    })
  }

  /// What a backend that follows trust updates by itself may forget to ask.
  enum Forgotten: Sendable { case gaps, oldKeys, newKeys, roles, numbers, end }

  static func followingTrust(forgetting forgotten: Forgotten) -> Mutation {
    Mutation(verify: { state, verifier, base in
      do {
        return try await base.verify(state, with: verifier)
      } catch let error as VerificationError where [.signerUntrusted, .trustMissing].contains(error.code) {
        guard let policy = try await loosePolicy(of: state, from: verifier, forgetting: forgotten) else { throw error }
        return try Verifier(replacing: policy, in: verifier).admit(state)
      }
    })
  }

  private static func loosePolicy(
    of state: FetchedState, from verifier: Verifier, forgetting forgotten: Forgotten
  ) async throws -> TrustPolicy? {
    guard let needed = try? StateManifest(parsing: state.manifest).trust else { return nil }
    var policy = verifier.policy
    let last = forgotten == .end ? needed : min(needed, TrustUpdate.maximumCount)
    while policy.trustVersion < last {
      var number = policy.trustVersion + 1
      var file = try await state.trustUpdate(number, limits: Limits())
      while file == nil, forgotten == .gaps, number < last {
        number += 1
        file = try await state.trustUpdate(number, limits: Limits())
      }
      guard let file, let update = try? TrustUpdate(parsing: file.update),
        update.version == number || forgotten == .numbers
      else { return nil }
      let next = policy.with(try update.keys(), version: number)
      func isSigned(by policy: TrustPolicy) -> Bool {
        if forgotten == .roles { return isSignedByAnyKey(file, of: policy) }
        let signers = try? Verifier(policy: policy, device: "", now: verifier.time).signers(
          of: file.update, signatures: [file.signatures], namespace: TrustUpdate.namespace)
        return signers?.isEmpty == false
      }
      guard forgotten == .oldKeys || isSigned(by: policy), forgotten == .newKeys || isSigned(by: next) else {
        return nil
      }
      policy = next
    }
    return policy
  }

  /// Whether any key of a policy signed, whatever its line lets it sign.
  private static func isSignedByAnyKey(_ file: TrustUpdateFile, of policy: TrustPolicy) -> Bool {
    guard case .signatures(let signers, _) = policy.requirement,
      let parsed = try? SSHSignature.parseEach(armored: file.signatures)
    else { return false }
    return parsed.contains { result in
      guard let signature = try? result.get(),
        (try? signature.verify(SSHSignature.Message(file.update), namespace: TrustUpdate.namespace)) != nil
      else { return false }
      return signers.entries.contains { $0.key == signature.publicKey }
    }
  }
}
