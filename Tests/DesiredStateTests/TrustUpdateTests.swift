import DesiredState
import DesiredStateTesting
import Foundation
import Testing

/// A key and what its line in the allowed signers lets it sign.
private struct RoleSigner: Sendable {
  let signer: TestSigner
  let namespaces: [String]

  init(_ name: String, namespaces: [String]) {
    signer = TestSigner(name)
    self.namespaces = namespaces
  }

  var allowedSigner: String { signer.allowedSigner(namespaces: namespaces) }
  /// As in a `.pub` file.
  var publicKeyLine: String {
    signer.allowedSigner(namespaces: []).split(separator: " ").dropFirst().joined(separator: " ")
  }

  func sign(_ bytes: [UInt8], namespace: String = "desired-state") -> [UInt8] {
    signer.sign(bytes, namespace: namespace)
  }
}

/// Drops in memory, with trust updates beside their documents.
private final class TrustDrop: DocumentReader, Sendable {
  let files: [String: [UInt8]]
  init(_ files: [String: [UInt8]]) { self.files = files }

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    guard let bytes = files[document.url ?? ""] else { throw VerificationError(.documentMissing, "not there") }
    return DocumentBytes(bytes)
  }
}

@Suite("Trust updates: who may sign changes, in a chain that only goes on")
struct TrustUpdateTests {
  private let now = Date(timeIntervalSince1970: 1_800_000_000)
  private let roots = (0..<8).map { RoleSigner("root-\($0)", namespaces: ["desired-state-trust"]) }
  private let release = (0..<8).map { RoleSigner("release-\($0)", namespaces: ["desired-state"]) }

  private func lines(_ signers: RoleSigner...) -> String { signers.map(\.allowedSigner).joined() }

  private func update(
    _ version: UInt64, _ signers: String, threshold: Int = 1, trustThreshold: Int = 1, revoked: String = ""
  ) -> [UInt8] {
    TrustUpdate(
      version: version, threshold: threshold, trustThreshold: trustThreshold, allowedSigners: signers, revoked: revoked,
      issued: now
    ).encoded()
  }

  private func sign(_ bytes: [UInt8], _ signers: RoleSigner..., namespace: String = "desired-state-trust") -> [UInt8] {
    signers.flatMap { $0.sign(bytes, namespace: namespace) }
  }

  /// A state whose manifest needs a trust update, signed by one key.
  private func state(
    needing number: UInt64?, signedBy signer: RoleSigner, updates: [UInt64: ([UInt8], [UInt8])]
  ) -> FetchedState {
    let manifest = StateManifest(version: 7, documents: [], trust: number).encoded()
    var files: [String: [UInt8]] = [:]
    for (number, (update, signatures)) in updates {
      files["trust/\(number).json"] = update
      files["trust/\(number).json.sig"] = signatures
    }
    return FetchedState(manifest: manifest, signatures: [signer.sign(manifest)], documents: TrustDrop(files))
  }

  private func verifier(_ signers: String, threshold: Int = 1, trustThreshold: Int? = nil) throws -> Verifier {
    Verifier(
      policy: .signatures(
        by: try AllowedSigners(parsing: signers), threshold: threshold, trustThreshold: trustThreshold),
      device: "press-42", now: now)
  }

  private func admit(_ state: FetchedState, _ verifier: Verifier) async throws -> VerifiedState {
    try await verifier.following(state).admit(state)
  }

  private func code(_ state: FetchedState, _ verifier: Verifier) async throws -> VerificationError? {
    do {
      _ = try await admit(state, verifier)
      return nil
    } catch let error as VerificationError {
      return error
    }
  }

  /// Five rotations: each with a new root key and a new release key.
  private func chain(_ count: Int) -> [UInt64: ([UInt8], [UInt8])] {
    var updates: [UInt64: ([UInt8], [UInt8])] = [:]
    for index in 1...count {
      let bytes = update(UInt64(index), lines(roots[index], release[index]))
      updates[UInt64(index)] = (bytes, sign(bytes, roots[index - 1], roots[index]))
    }
    return updates
  }

  @Test("Five rotations are caught up in one poll, and then the newest keys alone may sign") func caughtUp()
    async throws
  {
    let device = try verifier(lines(roots[0], release[0]))
    let updates = chain(5)
    let followed = try await device.following(state(needing: 5, signedBy: release[5], updates: updates))
    #expect(followed.policy.trustVersion == 5)
    #expect(try await code(state(needing: 5, signedBy: release[5], updates: updates), device) == nil)
    let old = try await code(state(needing: 5, signedBy: release[0], updates: updates), device)
    #expect(old?.code == .signerUntrusted)
  }

  @Test("A source that never needs one is not asked for any") func notAsked() async throws {
    let device = try verifier(lines(roots[0], release[0]))
    let bad: [UInt64: ([UInt8], [UInt8])] = [1: ([1], [2])]
    #expect(try await code(state(needing: nil, signedBy: release[0], updates: bad), device) == nil)
  }

  @Test("An update that is not there yet is trust-missing, and looked for again") func missing() async throws {
    let device = try verifier(lines(roots[0], release[0]))
    var updates = chain(3)
    updates[1] = nil
    let error = try await code(state(needing: 3, signedBy: release[3], updates: updates), device)
    #expect(error?.code == .trustMissing && error?.isTransient == true)
    #expect(error?.reason.contains("trust/1.json") == true)
    // What was good up to the gap counts; the manifest is still refused.
    updates = chain(3)
    updates[3] = nil
    let later = try await code(state(needing: 3, signedBy: release[3], updates: updates), device)
    #expect(later != nil)
    let far = try await code(state(needing: .max, signedBy: release[0], updates: [:]), device)
    #expect(far?.code == .trustMissing)
  }

  @Test("Only signatures by enough keys of both, in their own namespace, carry the chain on") func signatures()
    async throws
  {
    let device = try verifier(lines(roots[0], release[0]))
    func refused(_ name: String, _ bytes: [UInt8], _ signatures: [UInt8], by device: Verifier? = nil) async throws {
      let found = state(needing: 1, signedBy: release[1], updates: [1: (bytes, signatures)])
      let error = try await code(found, try device ?? self.verifier(lines(roots[0], release[0])))
      #expect(error?.code == .trustInvalid, "\(name): \(error?.description ?? "accepted")")
      #expect(error?.reason.contains("trust update 1") == true, "\(name)")
    }
    let good = update(1, lines(roots[1], release[1]))
    #expect(
      try await code(
        state(needing: 1, signedBy: release[1], updates: [1: (good, sign(good, roots[0], roots[1]))]), device)
        == nil)
    try await refused("the new keys alone", good, sign(good, roots[1]))
    try await refused("the old alone", good, sign(good, roots[0]))
    try await refused("a release key for a root key", good, sign(good, release[0], roots[1]))
    try await refused("another namespace", good, sign(good, roots[0], roots[1], namespace: "desired-state"))
    try await refused("another text", update(1, lines(roots[1], release[2])), sign(good, roots[0], roots[1]))
    try await refused(
      "another number", update(2, lines(roots[1])), sign(update(2, lines(roots[1])), roots[0], roots[1]))
    let two = update(1, lines(roots[1], roots[2], release[1]), trustThreshold: 2)
    try await refused("one of its own two", two, sign(two, roots[0], roots[1]))
    try await refused("one of its own two, twice", two, sign(two, roots[0], roots[1], roots[1]))
    try await refused(
      "one of the old two", good, sign(good, roots[0], roots[1]),
      by: try verifier(lines(roots[0], roots[2], release[0]), threshold: 1, trustThreshold: 2))
    let self0 = update(1, lines(roots[0], release[1]), revoked: roots[0].publicKeyLine)
    try await refused("revoked by itself", self0, sign(self0, roots[0]))
    for (name, text) in [
      ("no JSON", "x"), ("a duplicate key", "{\"trustVersion\":1,\"trustVersion\":1}"),
      ("no threshold", "{\"trustVersion\":1,\"trustThreshold\":1,\"allowedSigners\":\"\"}"),
      ("threshold 0", "{\"trustVersion\":1,\"threshold\":0,\"trustThreshold\":1,\"allowedSigners\":\"\"}"),
      ("bad signers", "{\"trustVersion\":1,\"threshold\":1,\"trustThreshold\":1,\"allowedSigners\":\"nobody\"}"),
    ] { try await refused(name, Array(text.utf8), sign(Array(text.utf8), roots[0], roots[1])) }
  }

  @Test("A key without namespaces= carries no chain on, and the refusal says what to write") func unnamed() async throws
  {
    let any = RoleSigner("any", namespaces: [])
    let bytes = update(1, lines(any, release[1]))
    let found = state(needing: 1, signedBy: release[1], updates: [1: (bytes, sign(bytes, any))])
    let error = try await code(found, try verifier(lines(any)))
    #expect(error?.code == .trustInvalid)
    #expect(error?.reason.contains("namespaces=\"desired-state-trust\"") == true)
    // Manifests may be signed by it, unless that is ruled out.
    let plain = state(needing: nil, signedBy: any, updates: [:])
    #expect(try await code(plain, try verifier(lines(any))) == nil)
    var policy = TrustPolicy.signatures(by: try AllowedSigners(parsing: lines(any)))
    policy.requiresNamespaces = true
    let refusal = try await code(plain, Verifier(policy: policy, device: "", now: now))
    #expect(refusal?.code == .signerUntrusted && refusal?.reason.contains("namespaces=") == true)
  }

  @Test("Of an endless chain no more than 64 updates are read at one poll") func endless() async throws {
    final class Endless: DocumentReader, Sendable {
      let make: @Sendable (UInt64) -> ([UInt8], [UInt8])
      init(_ make: @escaping @Sendable (UInt64) -> ([UInt8], [UInt8])) { self.make = make }
      func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
        let name = (document.url ?? "").dropFirst("trust/".count)
        let number = UInt64(name.prefix { $0 != "." }) ?? 0
        return DocumentBytes(name.hasSuffix(".sig") ? make(number).1 : make(number).0)
      }
    }
    let (root, keys) = (roots[0], lines(roots[0], release[0]))
    let reader = Endless { number in
      let bytes = TrustUpdate(version: number, allowedSigners: keys).encoded()
      return (bytes, root.sign(bytes, namespace: "desired-state-trust"))
    }
    let manifest = StateManifest(version: 1, documents: [], trust: 1_000_000).encoded()
    let found = FetchedState(manifest: manifest, signatures: [release[0].sign(manifest)], documents: reader)
    let device = try verifier(keys)
    #expect(try await device.following(found).policy.trustVersion == 64)
    #expect(try await code(found, device)?.code == .trustMissing)
  }

  @Test("What a device demands is refused with a code of its own") func demands() throws {
    let signer = release[0]
    func code(_ manifest: StateManifest, _ edit: (inout TrustPolicy) -> Void) throws -> VerificationError.Code? {
      var policy = TrustPolicy.signatures(by: try AllowedSigners(parsing: signer.allowedSigner))
      edit(&policy)
      let bytes = manifest.encoded()
      let state = FetchedState(manifest: bytes, signatures: [signer.sign(bytes)], documents: TrustDrop([:]))
      do throws(VerificationError) {
        _ = try Verifier(policy: policy, device: "press-42", now: now).admit(state)
        return nil
      } catch {
        return error.code
      }
    }
    let plain = StateManifest(version: 1, documents: [])
    var full = plain
    (full.device, full.issued, full.expires) = ("press-42", now.addingTimeInterval(-3600), now.addingTimeInterval(60))
    #expect(try code(plain) { $0.demands.expiry = true } == .expired)
    #expect(try code(plain) { $0.demands.device = true } == .deviceMissing)
    #expect(try code(plain) { $0.demands.maximumAge = 7200 } == .tooOld)
    #expect(try code(full) { $0.demands.maximumAge = 3599 } == .tooOld)
    #expect(try code(plain) { $0.demands.content = .plain } == .wrongContent)
    #expect(
      try code(full) {
        $0.demands.expiry = true
        $0.demands.device = true
        $0.demands.maximumAge = 3600
        $0.demands.content = .drop
      } == nil)
    let tree = FetchedState(synthesisedFrom: [], documents: TrustDrop([:]))
    for content in [TrustPolicy.Content.drop, nil] {
      var policy = TrustPolicy.signatures(by: try AllowedSigners(parsing: signer.allowedSigner))
      policy.demands.content = content
      let verifier = Verifier(policy: policy, device: "press-42", floor: nil, followsDrop: true, now: now)
      #expect { try verifier.admit(tree) } throws: { ($0 as? VerificationError)?.code == .wrongContent }
    }
  }

  @Test("A revoked key counts for nothing, whoever revoked it") func revoked() throws {
    let bytes = StateManifest(version: 1, documents: []).encoded()
    let state = FetchedState(manifest: bytes, signatures: [release[0].sign(bytes)], documents: TrustDrop([:]))
    var policy = TrustPolicy.signatures(by: try AllowedSigners(parsing: release[0].allowedSigner))
    let before = policy.fingerprint
    policy.revoked = [try RevokedKeys(parsing: release[0].publicKeyLine.utf8)]
    #expect(policy.fingerprint != before)
    #expect {
      try Verifier(policy: policy, device: "", now: now).admit(state)
    } throws: {
      ($0 as? VerificationError)?.code == .signerUntrusted && "\($0)".contains("is revoked")
    }
  }
}

@Suite("Trust updates in the store")
struct TrustStoreTests {
  private let now = Date(timeIntervalSince1970: 1_800_000_000)
  private let root = RoleSigner("root", namespaces: ["desired-state-trust"])
  private let other = RoleSigner("other-root", namespaces: ["desired-state-trust"])
  private let release = (0..<4).map { RoleSigner("release-\($0)", namespaces: ["desired-state"]) }

  /// A source that shows what it is told to.
  private final class Source: DesiredStateBackend, Sendable {
    let source = "memory"
    let state: FetchedState
    init(_ state: FetchedState) { self.state = state }
    func fetch(_ request: FetchRequest) async throws -> FetchResult {
      state.revision == request.current ? .unchanged : .changed(state)
    }
  }

  private func published(
    _ version: UInt64, trust: UInt64, by signer: RoleSigner, _ chain: [(keys: String, by: [RoleSigner])]
  ) -> FetchedState {
    var files: [String: [UInt8]] = [:]
    for (index, link) in chain.enumerated() {
      let bytes = TrustUpdate(version: UInt64(index + 1), allowedSigners: link.keys).encoded()
      files["trust/\(index + 1).json"] = bytes
      files["trust/\(index + 1).json.sig"] = link.by.flatMap { $0.sign(bytes, namespace: "desired-state-trust") }
    }
    let manifest = StateManifest(version: version, documents: [], trust: trust).encoded()
    return FetchedState(manifest: manifest, signatures: [signer.sign(manifest)], documents: TrustDrop(files))
  }

  private func look(_ store: StateStore, _ state: FetchedState, revoked: [RoleSigner] = []) async throws
    -> Reconciler.Outcome
  {
    var policy = TrustPolicy.signatures(
      by: try AllowedSigners(parsing: root.allowedSigner + release[0].allowedSigner))
    policy.revoked = try revoked.map { try RevokedKeys(parsing: $0.publicKeyLine.utf8) }
    let reconciler = Reconciler(
      sources: [Source(state)], store: store,
      configuration: .init(policy: policy, device: "press-42", now: { [now] in now })
    ) { _ in }
    return try await reconciler.runOnce()
  }

  private func code(_ outcome: Reconciler.Outcome) -> VerificationError? {
    if case .rejected(let error) = outcome { error } else { nil }
  }

  @Test("An update is durable, never goes back, and a fork is refused with the number where it parts")
  func durable() async throws {
    let path = NSTemporaryDirectory() + "trust-store-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let keys = (0..<4).map { root.allowedSigner + release[$0].allowedSigner }
    let chain = (1...3).map { (keys: keys[$0], by: [root]) }
    var store = try await StateStore.open(path)
    #expect(code(try await look(store, published(1, trust: 2, by: release[2], Array(chain.prefix(2))))) == nil)
    #expect(await store.trust?.version == 2)
    await store.close()
    store = try await StateStore.open(path)
    #expect(await store.trust?.version == 2)
    // The key of the file that the device was set up with does not count any more, whatever the manifest says.
    let old = published(2, trust: 0, by: release[0], [])
    #expect(code(try await look(store, old))?.code == .signerUntrusted)
    #expect(await store.adopted?.version == 1)
    // A fork: another second update, and a third on top of it by keys that this device never followed.
    let fork = [
      chain[0], (keys: other.allowedSigner + release[3].allowedSigner, by: [root, other]),
      (keys: other.allowedSigner + release[3].allowedSigner, by: [other]),
    ]
    let forked = code(try await look(store, published(3, trust: 3, by: release[3], fork)))
    #expect(forked?.code == .trustInvalid)
    #expect(forked?.reason.contains("trust update 2") == true && forked?.reason.contains("fork") == true)
    #expect(await store.trust?.version == 2)
    #expect(code(try await look(store, published(4, trust: 3, by: release[3], chain))) == nil)
    #expect(await store.trust?.version == 3)
    await store.close()
  }

  @Test("A revoked signer of the adopted state is said at once, and the state stays") func revokedSigner() async throws
  {
    let path = NSTemporaryDirectory() + "trust-store-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let store = try await StateStore.open(path)
    let state = published(1, trust: 0, by: release[0], [])
    _ = try await look(store, state)
    #expect(try await StoreStatus.read(path).revokedSigners.isEmpty)
    #expect(code(try await look(store, state, revoked: [release[0]]))?.code == .signerUntrusted)
    #expect(try await StoreStatus.read(path).revokedSigners.count == 1)
    #expect(await store.adopted?.version == 1)
    _ = try await look(store, state)
    #expect(try await StoreStatus.read(path).revokedSigners.isEmpty)
    await store.close()
  }

  @Test(
    "A trust update that takes the adopted state's key away is said at once, also where no other state comes with it")
  func takenAway() async throws {
    let path = NSTemporaryDirectory() + "trust-store-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let store = try await StateStore.open(path)
    _ = try await look(store, published(1, trust: 0, by: release[0], []))
    #expect(try await StoreStatus.read(path).revokedSigners.isEmpty)
    // The state that comes with it is signed by a key that does not count: it is refused, and the update stays.
    let chain = [(keys: root.allowedSigner + release[1].allowedSigner, by: [root])]
    #expect(code(try await look(store, published(2, trust: 1, by: release[2], chain)))?.code == .signerUntrusted)
    let revoked = try await StoreStatus.read(path).revokedSigners
    #expect(revoked.count == 1 && revoked.first?.reason.contains("not listed") == true, "\(revoked)")
    #expect(await store.adopted?.version == 1)
    #expect(code(try await look(store, published(3, trust: 1, by: release[1], chain))) == nil)
    #expect(try await StoreStatus.read(path).revokedSigners.isEmpty)
    await store.close()
  }

  @Test("A fork as long as the device's own chain is named too, where its keys do not count here") func equalFork()
    async throws
  {
    let path = NSTemporaryDirectory() + "trust-store-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let store = try await StateStore.open(path)
    let chain = (1...2).map { (keys: root.allowedSigner + release[$0].allowedSigner, by: [root]) }
    #expect(code(try await look(store, published(1, trust: 2, by: release[2], chain))) == nil)
    let fork = [chain[0], (keys: root.allowedSigner + release[3].allowedSigner, by: [root])]
    for needed in [UInt64(2), 3] {
      let refused = code(try await look(store, published(9, trust: needed, by: release[3], fork)))
      #expect(refused?.code == (needed == 2 ? .trustInvalid : .trustMissing), "\(refused as Any)")
      if needed == 2 { #expect(refused?.reason.contains("trust update 2 is another one") == true) }
    }
    // The device's own chain, or none at all, and a key that does not count: that is all there is to say.
    for files in [chain, []] {
      let refused = code(try await look(store, published(9, trust: 2, by: release[3], files)))
      #expect(refused?.code == .signerUntrusted, "\(refused as Any)")
    }
    #expect(await store.trust?.version == 2)
    await store.close()
  }
}
