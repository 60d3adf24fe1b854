public import DesiredState
import DesiredStateSupport
import FoundationEssentials
import Glibc
public import SSHSignatures

extension DropWriter {
  /// Publishes a state again as the next version: the one in place with a new time, or an earlier one that is to be wanted
  /// again.
  ///
  /// Where the options name no device, it is for the device that it was for; where they give no expiry, it lasts as long as it
  /// lasted. Its signature is checked first: a publisher who signs what is found in a drop would otherwise sign whatever was put
  /// there.
  ///
  /// - Parameters:
  ///   - earlier: its version, one of the last 20 that are not pruned; nil for the one in place.
  ///   - signers: whose signature it must have; nil where states are not signed, and it is taken as it is.
  ///   - options: what is new: the version, times, the device.
  ///   - readingDocuments: whether each document is read and digested. Not in a directory that ``GitDropPublisher`` hands
  ///     out, where an empty file stands for each.
  ///   - signer: signs the new manifest; nil leaves it unsigned.
  /// - Returns: the publication; it is durable.
  /// - Throws: ``PublicationError``, with `untrusted` if none of them has signed it; as ``publish(_:options:signer:)`` does.
  public func republish(
    version earlier: UInt64? = nil, trusting signers: AllowedSigners?,
    options: PublicationOptions = PublicationOptions(),
    readingDocuments: Bool = true, signer: (any ManifestSigner)? = nil
  ) async throws -> Publication {
    let (prepared, effective) = try await worker.run { () throws -> (Prepared, PublicationOptions) in
      try checkCanChange()
      let lock = try self.lock(path)
      do {
        try DropPruning.removeTemporaries(of: path)
        let (manifest, before, effective) = try again(earlier, signers, options)
        try checkDocuments(of: manifest, reading: readingDocuments)
        return (try Prepared(manifest, after: before, lock, limits), effective)
      } catch {
        lock.release()
        throw error
      }
    }
    let signatures = try await sign(prepared, signer)
    try await worker.run {
      defer { prepared.lock.release() }
      try place(prepared, signatures, effective)
    }
    return prepared.publication(isSigned: signatures != nil)
  }

  /// What ``republish(version:trusting:options:readingDocuments:signer:)`` would publish. Nothing is written.
  ///
  /// - Throws: as that does.
  public func planAgain(
    version earlier: UInt64? = nil, trusting signers: AllowedSigners?,
    options: PublicationOptions = PublicationOptions(),
    readingDocuments: Bool = true
  ) async throws -> PublicationPlan {
    try await worker.run {
      try checkCanChange()
      let (manifest, before, _) = try again(earlier, signers, options)
      try checkDocuments(of: manifest, reading: readingDocuments)
      return PublicationPlan(manifest, after: before)
    }
  }

  /// A bundle is one file with one state in it.
  func checkCanChange() throws(PublicationError) {
    guard DropLayout.isBundle(path) else { return }
    throw PublicationError(
      .options,
      "\(path) is a bundle, one file that is written whole; do this in the drop directory, or publish documents")
  }

  /// The manifest in place, which there has to be.
  func presentManifest() throws -> [UInt8] {
    guard let present = try publishedManifest() else {
      throw PublicationError(
        .unreadable, "the manifest in \(path) is longer than the limit of \(limits.manifestSize) bytes")
    }
    guard let present else { throw PublicationError(.options, "nothing is published in \(path)") }
    return present
  }

  private func again(
    _ earlier: UInt64?, _ signers: AllowedSigners?, _ options: PublicationOptions
  ) throws -> (StateManifest, before: StateManifest, PublicationOptions) {
    let present = try presentManifest()
    let bytes = try earlier.map { try DropHistory(path).manifest(of: $0, limits: limits) } ?? present
    let old = try manifest(bytes, trusting: signers, at: options.issued)
    let before = earlier == nil ? old : try StateManifest(parsing: present)
    if let earlier, old.version != earlier {
      throw PublicationError(
        .unreadable, "\(DropLayout.published(earlier)) holds version \(old.version ?? 0), and not \(earlier)")
    }
    var options = options
    options.device = options.device ?? old.device
    if options.expires == nil, let expires = old.expires {
      guard let issued = old.issued else {
        throw PublicationError(.options, "the state does not say when it was issued; say when the new one is to expire")
      }
      options.expires = options.issued.addingTimeInterval(expires.timeIntervalSince(issued))
    }
    try check([], options)
    let (version, _) = try nextVersion(options) { present }
    var manifest = old
    manifest.version = version
    manifest.device = options.device
    (manifest.issued, manifest.expires) = (options.issued, options.expires)
    manifest.trust = try TrustFolder(path).newest()
    manifest.message = options.message
    // An archive that was pruned is not offered again.
    if let bundle = old.bundle, FileStatus(at: Files.join(path, try DropLayout.path(of: bundle))) == nil {
      manifest.bundle = nil
    }
    return (manifest, before, options)
  }

  /// Reads a manifest of this drop when one of these has signed it.
  func manifest(_ bytes: [UInt8], trusting signers: AllowedSigners?, at now: Date) throws -> StateManifest {
    let revision = Revision(ofManifest: bytes)
    let signatures = try signers == nil ? [] : signatures(of: revision)
    do throws(VerificationError) {
      if let signers {
        guard !signatures.isEmpty else { throw VerificationError(.signatureMissing, "it has no signature") }
        let verifier = Verifier(policy: .signatures(by: signers), device: "", now: now)
        let found = try verifier.signers(of: bytes, signatures: [signatures], namespace: "desired-state")
        guard !found.isEmpty else { throw VerificationError(.signerUntrusted, "no trusted key has signed it") }
      }
      return try StateManifest(parsing: bytes)
    } catch {
      throw PublicationError(
        error.code == .manifestMalformed ? .unreadable : .untrusted,
        "the published state \(revision) is not signed again: \(error.reason)", underlying: error)
    }
  }

  /// The file of signatures of a manifest of this drop; empty if there is none.
  func signatures(of revision: Revision) throws(FileError) -> [UInt8] {
    do throws(FileError) {
      return try Files.read(
        try OpenDirectory(path).file(at: DropLayout.signatures(of: revision)), limit: limits.evidenceSize) ?? []
    } catch {
      guard error.code == ENOENT else { throw error }
      return []
    }
  }

  /// Whether every document of a manifest is in the drop, with its bytes.
  func checkDocuments(of manifest: StateManifest, reading: Bool) throws {
    let root = try OpenDirectory(path)
    for document in manifest.documents {
      let place = try DropLayout.path(of: document)
      do {
        let file = try root.file(at: place)
        guard reading else { continue }
        var hasher = Digest.Hasher()
        while case let bytes = try file.read(upTo: Files.chunkSize), !bytes.isEmpty { hasher.update(bytes) }
        guard hasher.finalize() == document.digest else {
          throw PublicationError(
            .document, "document \(quoted(document.id)) has other bytes than its digest says: \(place)")
        }
      } catch let error as FileError {
        throw PublicationError(
          .document, "document \(quoted(document.id)) is not in the drop any more; was it pruned? \(error)",
          underlying: error)
      }
    }
  }
}
