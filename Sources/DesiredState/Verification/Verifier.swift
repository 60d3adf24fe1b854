import DesiredStateSupport
public import FoundationEssentials

/// Decides whether a fetched state may be adopted: the one place where a ``VerifiedState`` comes from.
///
/// The order of checks is that of The Update Framework's client workflow: nothing is parsed before something trusted
/// has vouched for the bytes, and cheap refusals come first.
public struct Verifier: Sendable {
  /// Which evidence is enough.
  public private(set) var policy: TrustPolicy
  /// This device's name, against which a manifest's `device` is held.
  public let device: String
  /// The highest version adopted so far, and by which revision.
  let floor: VersionFloor?
  /// The time that expiry and key validity are judged by; never behind the newest signed time that the device believes.
  public let time: Date
  /// Whether the device's clock can be right: it does not stand before ``earliestPlausibleTime``.
  package let isClockPlausible: Bool
  /// The newest time of issue that is believed; nil if the clock is no measure for it.
  let latestIssue: Date?
  /// Whether the adopted state came from a source that keeps a history. A state without a version must then be shown to
  /// follow on it.
  let requiresSuccessor: Bool
  /// Whether the adopted state is a signed drop. A plain tree never takes its place then, unless it is asked for.
  package let followsDrop: Bool
  /// Bounds on counts and sizes.
  let limits: Limits

  /// The verifier of a device that has adopted nothing yet.
  ///
  /// - Parameters:
  ///   - policy: which evidence is enough.
  ///   - device: this device's name.
  ///   - requiresSuccessor: whether a state without a version must be shown to follow on an adopted one.
  ///   - now: the device's clock.
  ///   - limits: bounds on counts and sizes.
  public init(
    policy: TrustPolicy, device: String, requiresSuccessor: Bool = false, now: Date, limits: Limits = Limits()
  ) {
    self.init(
      policy: policy, device: device, floor: nil, requiresSuccessor: requiresSuccessor, now: now, limits: limits)
  }

  /// - Parameters:
  ///   - policy: which evidence is enough.
  ///   - device: this device's name.
  ///   - floor: the highest version adopted so far; nil for none.
  ///   - requiresSuccessor: whether a state without a version must be shown to follow on the adopted one.
  ///   - followsDrop: whether the adopted state is a signed drop.
  ///   - now: the device's clock.
  ///   - newestSigned: the newest `issued` of any signed manifest adopted so far. A clock that stands before it (a
  ///     flat battery, 1970) is known to be wrong, and that time is used instead.
  ///   - limits: bounds on counts and sizes.
  package init(
    policy: TrustPolicy, device: String, floor: VersionFloor?, requiresSuccessor: Bool = false,
    followsDrop: Bool = false, now: Date, newestSigned: Date? = nil, limits: Limits = Limits()
  ) {
    self.policy = policy
    self.device = device
    self.floor = floor
    self.requiresSuccessor = requiresSuccessor
    self.followsDrop = followsDrop
    isClockPlausible = now >= Self.earliestPlausibleTime
    latestIssue = Self.latestIssue(at: now)
    time = Self.time(now, newestSigned: newestSigned)
    self.limits = limits
  }

  /// The same verifier under another policy: what was found of the clock stays.
  init(replacing policy: TrustPolicy, in other: Verifier) {
    self = other
    self.policy = policy
  }

  /// Puts a state through every check.
  ///
  /// - Throws: ``VerificationError`` with the code of the first check that fails.
  public func admit(_ state: FetchedState) throws(VerificationError) -> VerifiedState {
    guard state.manifest.count <= limits.manifestSize else {
      throw VerificationError(.limitExceeded, "the manifest is longer than the limit of \(limits.manifestSize) bytes")
    }
    try checkContent(state)
    let findings = try weigh(state)
    let manifest = try StateManifest(
      parsing: state.manifest, requiresVersion: !state.isSynthesised, maximumDocumentCount: limits.documentCount)
    do {
      try checkTrust(manifest)
      try checkAudience(manifest)
      try checkDemands(manifest)
      try checkVersion(manifest.version, of: state.revision)
      try checkSuccession(manifest.version, findings)
      // Sizes in a manifest are advice: limits hold for the bytes as they are read.
      try DocumentID.check(manifest.documents.map(\.id))
    } catch {
      var error = error
      error.version = manifest.version
      error.evidence += findings.signers.map(\.description)
      throw error
    }
    return VerifiedState(fetched: state, manifest: manifest, findings: findings, limits: limits)
  }

  // MARK: - Audience and time

  private func checkAudience(_ manifest: StateManifest) throws(VerificationError) {
    if let named = manifest.device, named != device {
      throw VerificationError(
        .wrongDevice, "the manifest is for device \(quoted(named)), this device is \(quoted(device))")
    }
    try checkIssue(manifest.issued)
    if let expires = manifest.expires { try checkExpiry(expires) }
  }

  /// Whether a state that expires then is still good; also asked of a state adopted earlier that a source keeps offering.
  func checkExpiry(_ expires: Date) throws(VerificationError) {
    guard expires > time else {
      throw VerificationError(
        .expired,
        "the manifest expired at \(Timestamp.text(expires)), it is \(Timestamp.text(time)); publish a new version")
    }
  }

  // MARK: - Version

  private func checkVersion(_ version: UInt64?, of revision: Revision) throws(VerificationError) {
    // Only a synthesised manifest has none; it makes no promise about order, and the floor stays where it is.
    guard let version else { return }
    guard let floor else {
      guard version <= policy.maximumFirstVersion else {
        throw VerificationError(
          .versionJump, "version \(version) is too high for a first one; the limit is \(policy.maximumFirstVersion)")
      }
      return
    }
    if version < floor.version {
      throw VerificationError(
        .versionRollback,
        "version \(version) is older than version \(floor.version), which this device has adopted; if the device has moved to another publisher, reset its version floor"
      )
    }
    if version == floor.version {
      guard revision == floor.revision else {
        throw VerificationError(
          .versionEquivocation,
          "version \(version) was adopted as \(floor.revision) and is now published as \(revision); publish a higher version"
        )
      }
    } else if version - floor.version > policy.maximumVersionStep {
      throw VerificationError(
        .versionJump,
        "version \(version) is more than \(policy.maximumVersionStep) ahead of the adopted version \(floor.version)")
    }
  }

  private func checkSuccession(_ version: UInt64?, _ findings: Findings) throws(VerificationError) {
    guard version == nil, requiresSuccessor, !findings.isSuccessor else { return }
    throw VerificationError(
      .historyRewritten,
      "the adopted state came from a source with a history, and nothing shows that this one follows on it; publish it there, or as a signed drop with a version"
    )
  }
}
