public import DesiredState
import DesiredStateSupport
import FoundationEssentials
public import SSHSignatures

/// A published state with another signature.
public struct SignedPublication: Sendable {
  /// The digest of the manifest.
  public let revision: Revision
  /// The manifest.
  public let manifest: StateManifest
  /// The fingerprints of the keys that have signed it, these and those before.
  public let keys: [String]
  /// Whether a signature was added: each key signs once.
  public let isChanged: Bool
}

extension DropWriter {
  /// Adds signatures to the state that is published, for a threshold of people who are not in one place.
  ///
  /// Every document is read and digested first: a signature says that the state can be adopted.
  ///
  /// - Parameters:
  ///   - signer: adds its signatures, unless its keys have signed already.
  ///   - signers: one of whom must have signed already; nil for any key, or none.
  ///   - readingDocuments: as of ``republish(version:trusting:options:readingDocuments:signer:)``.
  /// - Throws: ``PublicationError``; `VerificationError`; `FileError`; what the signer throws.
  public func sign(
    with signer: any ManifestSigner, trusting signers: AllowedSigners? = nil, readingDocuments: Bool = true
  ) async throws -> SignedPublication {
    let (lock, bytes, manifest, before) = try await worker.run {
      () throws -> (FileLock, [UInt8], StateManifest, [UInt8]) in
      try checkCanChange()
      let lock = try self.lock(path)
      do {
        let bytes = try presentManifest()
        let manifest = try self.manifest(bytes, trusting: signers, at: Date())
        if let expires = manifest.expires, expires <= Date() {
          throw PublicationError(.options, "the state expired at \(Timestamp.text(expires)); publish it anew")
        }
        try checkDocuments(of: manifest, reading: readingDocuments)
        return (lock, bytes, manifest, try signatures(of: Revision(ofManifest: bytes)))
      } catch {
        lock.release()
        throw error
      }
    }
    defer { lock.release() }
    let revision = Revision(ofManifest: bytes)
    let added = try await signer.sign(bytes)
    let known = before.isEmpty ? [] : Self.keys(of: before)
    let new = Self.keys(of: added)
    guard !Set(new).isSubset(of: known) else {
      return SignedPublication(revision: revision, manifest: manifest, keys: known, isChanged: false)
    }
    let all = before + added
    guard all.count <= limits.evidenceSize else {
      throw VerificationError(
        .limitExceeded, "the signatures would have \(all.count) bytes, the limit is \(limits.evidenceSize)")
    }
    try await worker.run { try writeSignatures(all, of: revision) }
    return SignedPublication(
      revision: revision, manifest: manifest, keys: known + new.filter { !known.contains($0) }, isChanged: true)
  }

  /// The fingerprints of the keys of signatures; of those that can be read.
  private static func keys(of signatures: [UInt8]) -> [String] {
    var keys: [String] = []
    for case .success(let signature) in (try? SSHSignature.parseEach(armored: signatures)) ?? [] {
      let key = signature.publicKey.fingerprint
      if !keys.contains(key) { keys.append(key) }
    }
    return keys
  }
}
