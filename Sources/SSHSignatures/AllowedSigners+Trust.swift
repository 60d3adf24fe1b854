public import FoundationEssentials

extension AllowedSigners {
  /// Whether a key may sign in a namespace.
  public enum Trust: Hashable, Sendable {
    /// It may. `principals` are the patterns of every line that allows it, as they are written, each once; for a
    /// certificate, the names in it that such a line allows.
    case trusted(principals: [String])
    /// It may not.
    case untrusted(reason: UntrustedReason)
  }

  /// Whether the maker of a signature may sign in a namespace at a time; one line that allows it is enough.
  ///
  /// A signature by a plain key needs a line with that key. One that came with a certificate needs a `cert-authority`
  /// line with the certificate's authority, whose principals match a name in the certificate; a line with the certified
  /// key itself does not count for it, as for ssh-keygen.
  ///
  /// This says nothing about the signature itself: ask `SSHSignature.verify`.
  ///
  /// - Parameters:
  ///   - signature: the signature.
  ///   - namespace: what it must be made for.
  ///   - named: whether a line must name the namespace. ssh-keygen lets a line without `namespaces=` sign anything;
  ///     where a key decides about other keys, that may be more than its owner meant.
  ///   - principal: in whose name it must have signed (`ssh-keygen -Y verify -I`): a name that the principals of the
  ///     line match, and that the certificate, if there is one, gives; nil for any.
  ///   - time: when the key must be valid.
  public func trust(
    of signature: SSHSignature, namespace: String, named: Bool = false, principal: String? = nil, at time: Date
  ) -> Trust {
    guard let certificate = signature.certificate else {
      return trust(of: signature.publicKey, namespace: namespace, named: named, principal: principal, at: time)
    }
    return trust(of: certificate, namespace: namespace, named: named, principal: principal, at: time)
  }

  /// Whether a plain key may sign in a namespace at a time; one line that allows it is enough.
  ///
  /// As for ssh-keygen, time passes in whole seconds, and a key is trusted at the second of `valid-after`, at that of
  /// `valid-before`, and between them.
  public func trust(
    of key: SSHPublicKey, namespace: String, named: Bool = false, principal: String? = nil, at time: Date
  ) -> Trust {
    guard let listed = entriesByKey[key] else { return .untrusted(reason: .keyNotListed) }
    var candidates = listed.filter { !$0.isCertificateAuthority }
    guard !candidates.isEmpty else { return .untrusted(reason: .onlyAuthority) }
    if let principal {
      candidates.removeAll { !$0.principals.matches(principal) }
      guard !candidates.isEmpty else { return .untrusted(reason: .principalNotNamed(principal)) }
    }
    return Self.usable(candidates, namespace: namespace, named: named, at: time) { $0.principals.patterns }
  }

  /// Whether the key in a certificate may sign in a namespace at a time.
  ///
  /// As for ssh-keygen, the certificate must be a user's, have begun and not have ended, and name a principal that the
  /// authority's line allows. Beyond ssh-keygen, a critical option that is not known here makes it refused:
  /// PROTOCOL.certkeys demands so. Only `verify-required` is known; what limits a login (`force-command`,
  /// `source-address`) was not meant for signatures.
  public func trust(
    of certificate: SSHCertificate, namespace: String, named: Bool = false, principal: String? = nil, at time: Date
  ) -> Trust {
    guard let listed = entriesByKey[certificate.authority]?.filter(\.isCertificateAuthority), !listed.isEmpty else {
      return .untrusted(reason: .authorityNotListed)
    }
    if let fault = certificate.fault(at: time) { return .untrusted(reason: fault) }
    let names = certificate.principals.filter { principal == nil || $0 == principal }
    let candidates = listed.filter { entry in names.contains { entry.principals.matches($0) } }
    guard !candidates.isEmpty else {
      return .untrusted(reason: principal.map { .principalNotNamed($0) } ?? .noPrincipal)
    }
    return Self.usable(candidates, namespace: namespace, named: named, at: time) { entry in
      names.filter { entry.principals.matches($0) }
    }
  }

  /// Which of the lines that name a key let it sign, and for whom.
  private static func usable(
    _ candidates: [Entry], namespace: String, named: Bool, at time: Date, principals: (Entry) -> [String]
  ) -> Trust {
    let inNamespace = candidates.filter { $0.namespaces?.matches(namespace) ?? !named }
    guard !inNamespace.isEmpty else {
      let isUnnamed = candidates.contains { $0.namespaces == nil }
      return .untrusted(reason: isUnnamed ? .namespaceNotNamed(namespace) : .namespaceNotAllowed(namespace))
    }
    // As numbers: a clock that shows no number is before and after nothing, which `Date` compares otherwise.
    let second = time.timeIntervalSince1970.rounded(.down)
    func hasBegun(_ entry: Entry) -> Bool { entry.validAfter.map { $0.timeIntervalSince1970 <= second } ?? true }
    func hasNotEnded(_ entry: Entry) -> Bool { entry.validBefore.map { second <= $0.timeIntervalSince1970 } ?? true }
    let valid = inNamespace.filter { hasBegun($0) && hasNotEnded($0) }
    guard valid.isEmpty else {
      var seen: Set<String> = []
      return .trusted(principals: valid.flatMap(principals).filter { seen.insert($0).inserted })
    }
    if let from = inNamespace.filter({ !hasBegun($0) }).compactMap(\.validAfter).min() {
      return .untrusted(reason: .notYetValid(from: from))
    }
    return .untrusted(reason: .expired(after: inNamespace.compactMap(\.validBefore).max() ?? .distantPast))
  }
}

extension SSHCertificate {
  /// Whether only a security key that asked who touched it may sign (PROTOCOL.certkeys, `verify-required`).
  var demandsVerifiedUser: Bool { criticalOptions.contains { $0.name == Self.verifyRequired } }

  private static let verifyRequired = "verify-required"

  /// What makes the certificate good for no signature at a time, or nil.
  fileprivate func fault(at time: Date) -> AllowedSigners.UntrustedReason? {
    guard kind == .user else { return .notUserCertificate }
    if let option = criticalOptions.first(where: { $0.name != Self.verifyRequired }) {
      return .criticalOption(option.name)
    }
    let second = time.timeIntervalSince1970.rounded(.down)
    // The largest number that a Double holds below 2^64; times beyond it are ended whatever the certificate says.
    guard second >= 0 else { return .certificateNotYetValid(from: notBefore) }
    guard let now = UInt64(exactly: second) else { return .certificateExpired(at: notAfter ?? .distantFuture) }
    if now < validAfter { return .certificateNotYetValid(from: notBefore) }
    if now >= validBefore { return .certificateExpired(at: notAfter ?? .distantFuture) }
    return principals.isEmpty ? .noPrincipal : nil
  }
}
