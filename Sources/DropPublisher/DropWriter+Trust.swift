import DesiredState
import DesiredStateSupport
public import FoundationEssentials

/// What a trust update should say.
public struct TrustPublicationOptions: Sendable {
  /// The text of an OpenSSH `allowed_signers` file: who may sign from now on.
  public var allowedSigners: String
  /// Keys that must not count any more, one a line; nil for those of the update before.
  public var revoked: String?
  /// How many distinct keys must sign a manifest; nil for as many as before.
  public var threshold: Int?
  /// How many distinct keys must sign a trust update; nil for as many as before.
  public var trustThreshold: Int?
  /// When it was made.
  public var issued: Date

  /// Options of these parts.
  public init(
    allowedSigners: String, revoked: String? = nil, threshold: Int? = nil, trustThreshold: Int? = nil,
    issued: Date = Date()
  ) {
    self.allowedSigners = allowedSigners
    self.revoked = revoked
    self.threshold = threshold
    self.trustThreshold = trustThreshold
    self.issued = issued
  }
}

/// A trust update that was published.
public struct TrustPublication: Sendable {
  /// The number of the update.
  public let version: UInt64
  /// What keeps devices from taking it over yet, in words; empty if nothing that can be seen from here. The keys of
  /// the trust that devices were set up with are not known here.
  public let missing: [String]
}

extension DropWriter {
  /// Publishes the next trust update, signed in the namespace `desired-state-trust`.
  ///
  /// Devices look for it when a manifest needs it: every manifest published after it does.
  ///
  /// - Throws: ``PublicationError``; `FileError`; what the signer throws.
  public func publishTrust(
    _ options: TrustPublicationOptions, signer: any ManifestSigner
  ) async throws -> TrustPublication {
    guard !DropLayout.isBundle(path) else {
      throw PublicationError(
        .options, "\(path) is a bundle; publish the trust update in a directory, and let the bundle take it along")
    }
    let folder = TrustFolder(path)
    let (lock, update, before) = try await worker.run {
      try Files.createDirectories(path)
      guard let lock = try FileLock(path) else {
        throw PublicationError(.busy, "another publisher is at work in \(path); try again when it is done")
      }
      let newest = try folder.newest()
      let before = try newest.map { try folder.update($0) }
      return (
        lock,
        TrustUpdate(
          version: (newest ?? 0) + 1, threshold: options.threshold ?? before?.threshold ?? 1,
          trustThreshold: options.trustThreshold ?? before?.trustThreshold ?? 1,
          allowedSigners: options.allowedSigners, revoked: options.revoked ?? before?.revoked ?? "",
          issued: options.issued), before
      )
    }
    defer { lock.release() }
    let bytes = update.encoded()
    do throws(VerificationError) {
      _ = try TrustUpdate(parsing: bytes)
    } catch {
      throw PublicationError(.options, "the trust update \(error.reason)", underlying: error)
    }
    guard bytes.count <= TrustUpdate.maximumSize else {
      throw PublicationError(.options, "the trust update would be longer than \(TrustUpdate.maximumSize) bytes")
    }
    let signatures = try await signer.sign(bytes)
    var missing = try Self.missing(update, bytes, signatures, whose: "its own keys", by: update)
    if let before { missing += try Self.missing(update, bytes, signatures, whose: "the update before it", by: before) }
    try await worker.run { try folder.write(bytes, signatures, number: update.version) }
    return TrustPublication(version: update.version, missing: missing)
  }

  /// What an update lacks under the keys of another, or its own.
  private static func missing(
    _ update: TrustUpdate, _ bytes: [UInt8], _ signatures: [UInt8], whose: String, by judge: TrustUpdate
  ) throws -> [String] {
    var policy = TrustPolicy.signatures(by: try AllowedSigners(parsing: judge.allowedSigners))
    policy.requiresNamespaces = true
    if !judge.revoked.isEmpty { policy.revoked = [try RevokedKeys(parsing: judge.revoked.utf8)] }
    let verifier = Verifier(policy: policy, device: "", now: update.issued ?? Date())
    let signers = (try? verifier.signers(of: bytes, signatures: [signatures], namespace: TrustUpdate.namespace)) ?? []
    guard signers.count < judge.trustThreshold else { return [] }
    return [
      "\(signers.count) of the \(judge.trustThreshold) keys have signed that \(whose) must have; add signatures with "
        + "ssh-keygen -Y sign -n \(TrustUpdate.namespace) -f KEY < \(DropLayout.trustUpdate(update.version)) "
        + ">> \(DropLayout.trustSignatures(update.version))"
    ]
  }
}
