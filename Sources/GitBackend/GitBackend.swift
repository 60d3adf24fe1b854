public import DesiredState
import DesiredStateSupport
import FoundationEssentials
import HTTPBackendSupport
import Logging
import Synchronization

/// Desired state from a Git repository: a signed drop in its tree, or a plain tree whose commit is signed.
///
/// What a reference leads to is looked at, and at most the commit, the tree and what leads from the adopted commit to it
/// is fetched. In the tree, at a path:
///
/// - a directory with `manifest.json` is a **drop**, trusted as over every other transport by its manifest's signatures;
/// - another one is a **plain tree**. Its documents are the files below it, as they are in the repository, without any
///   filter; hidden ones are left out; symbolic links, submodules and Git LFS pointers are refused. Its evidence is the
///   SSH signature of the commit, or of the annotated tag, and it must descend from the adopted commit;
/// - a plain tree without any file is an explicitly empty state: git keeps no empty directory, so `.gitkeep` was put there, or
///   the root emptied, on purpose;
/// - nothing at the path, or no such reference, is `absent`.
public final class GitBackend: DesiredStateBackend {
  /// The repository and the followed target in it, without a user's name.
  public let source: String
  /// Acknowledgements are committed as receipts, unless the address says `receipts=none`.
  public let capabilities: BackendCapabilities

  private let address: GitAddress
  private let repository: any GitRepository
  private let receipts: ReceiptBranch
  private let digests = BlobDigests()
  private let refused = RefusedDrop()

  init(_ address: GitAddress, repository: any GitRepository, receipts: ReceiptBranch) {
    self.address = address
    self.repository = repository
    self.receipts = receipts
    source = address.source
    capabilities = address.takesReceipts ? [.acknowledges] : []
  }

  /// Lets this backend serve `git+https:`, `git+http:`, `git+ssh:` and `git+file:`.
  public static func register(in registry: inout BackendRegistry) {
    for scheme in GitAddress.Scheme.allCases {
      registry.register(scheme.rawValue, settings: usedSettings) { try GitBackend($0, context: $1) }
    }
  }

  /// The settings that a source at this address has a use for: receipts may go another way than the state comes.
  @Sendable static func usedSettings(for address: SourceAddress) -> Set<BackendSettings.Key> {
    let receipts = address.query["ack"].flatMap { try? SourceAddress($0) }
    var keys: Set<BackendSettings.Key> = [BackendSetting<String>.author.key]
    if address.query["receipts"] != "none" { keys.insert(BackendSetting<ReceiptSigner>.receiptSigner.key) }
    for scheme in [address.scheme, receipts?.scheme].compactMap({ $0.flatMap(GitAddress.Scheme.init) }) {
      switch scheme {
      case .https, .http: keys.formUnion(TransportSettings.keys)
      case .ssh: keys.formUnion(SSHGitTransport.settings)
      case .file: break
      }
    }
    return keys
  }

  /// A backend for an address, with the settings of a context; nothing is connected to yet.
  ///
  /// - Throws: `SourceAddressError` if the address or a setting cannot be used.
  public convenience init(_ address: SourceAddress, context: BackendContext) throws {
    let address = try GitAddress(address)
    let receipts = try address.receiptsAddress.map { try GitAddress(try SourceAddress($0)) } ?? address
    self.init(
      address, repository: try Self.repository(address, context, for: "state"),
      receipts: ReceiptBranch(
        try Self.repository(receipts, context, for: "receipts"), reference: address.receiptsReference,
        author: try CommitAuthor.Person(settings: context.settings), signer: context.settings[.receiptSigner]))
  }

  static func repository(
    _ address: GitAddress, _ context: BackendContext, for purpose: String
  ) throws -> any GitRepository {
    let transport: any GitTransport
    switch address.scheme {
    case .file: return LocalRepository(path: address.location, source: address.source)
    case .https, .http:
      transport = try HTTPGitTransport(url: address.location, source: address.source, settings: context.settings)
    case .ssh:
      transport = try SSHGitTransport(url: address.location, source: address.source, settings: context.settings)
    }
    return RemoteRepository(
      transport, source: address.source, cacheParent: context.cacheDirectory, purpose: purpose,
      part: purpose == "state" ? address.path : nil)
  }

  // MARK: - Looking

  /// Looks at the reference once. If it leads where it did, one question is all that is asked.
  ///
  /// - Throws: `BackendError` if the repository cannot be reached, before the timeout; `VerificationError` if its state is
  ///   there is over a limit or no state; `CancellationError`.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    do {
      // A caller may keep the same time; this is a little less, so that the words below are heard.
      return try await withTimeout(request.timeout * 49 / 50) { [self] in
        do {
          return try await poll(request)
        } catch let error as BackendError where error.underlying is LibGit2Error {
          // Objects that were here are gone: a cache was damaged and is made anew, or a repository was repacked.
          return try await poll(request)
        }
      }
    } catch let error as BackendError where error.code == .timeout {
      guard let unfinished = repository.unfinished else {
        throw error.underlying == nil ? BackendError(.timeout, "no answer within \(request.timeout)") : error
      }
      throw BackendError(.timeout, "\(source): not all of it came within \(request.timeout); \(unfinished)")
    }
  }

  deinit {
    repository.stop()
    receipts.stop()
  }

  private func poll(_ request: FetchRequest) async throws -> FetchResult {
    let marker = request.marker.flatMap { GitMarker($0) }
    guard let found = try await address.reference.find(in: repository) else { return missingReference }
    if let marker, marker.target == found.target, marker.revision == request.current {
      return FetchResult(.unchanged, marker: marker.text)
    }
    // If another repository brought the state that the device is on, a mirror perhaps, the next commit must follow on
    // that one.
    let elsewhere = request.adoptedMarker.flatMap { GitMarker($0) }
    let adopted = address.acceptsAnyHistory ? nil : elsewhere ?? marker
    if let known = refused.drop(at: found, by: request.verifier) {
      return result(of: known, at: found)
    }
    let gate = request.verifier.map { self.gate(for: found, by: $0) }
    let objects: AsyncObjectStore
    do {
      objects = try await repository.objects(
        of: found.target, after: adopted?.commit, gate: gate, limits: request.limits)
    } catch let error as BackendError
      where error.underlying is MissingObject && address.reference == .commit(found.target)
    {
      return missingReference
    }
    let content = try await objects.use { [path = address.path, limits = request.limits] in
      try $0.state(of: found, at: path, limits: limits)
    }
    if try await !isTrustUpdated(content, objects, request.verifier),
      refused.note(content, at: found, by: request.verifier)
    {
      try await repository.discard(found.target)
      return result(of: content, at: found)
    }
    let commit = content.commit
    var succession = Succession.follows
    let state: FetchedState
    switch content.content {
    case .absent(let absence): return FetchResult(.absent(absence))
    case .drop(let tree, let manifest, let signatures):
      try await repository.complete(found.target, limits: request.limits)
      // Its version keeps order; which commit it came with does not matter.
      state = FetchedState(
        manifest: manifest, signatures: signatures, evidence: channel, origin: origin(of: commit, at: found),
        documents: GitDocuments(objects: objects, place: .drop(tree), limits: request.limits))
    case .plain(let entries):
      if let gate, try await !objects.use({ try gate.isTrustUpdated($0, commit) }) {
        try gate.weigh(content.signatures)
      }
      try await repository.complete(found.target, limits: request.limits)
      succession = try await Succession.of(commit, after: adopted, in: repository)
      let isLaterTag =
        adopted.map { adopted in
          adopted.reference != found.name && (content.signatures.tag.map { $0.time > adopted.time } ?? false)
        } ?? false
      let references = try await digests.references(of: entries, in: objects, limits: request.limits)
      state = FetchedState(
        synthesisedFrom: references,
        evidence: { revision in
          channel(revision) + [
            SignedCommit(
              revision: revision, target: content.signatures, succession: succession, isLaterTag: isLaterTag)
          ]
        },
        origin: origin(of: commit, at: found),
        documents: GitDocuments(
          objects: objects,
          place: .plain(Dictionary(entries.map { ($0.path, $0) }) { first, _ in first }, root: commit.tree),
          limits: request.limits))
    }
    try await repository.tidy(keeping: [adopted?.commit, commit.id].compactMap { $0 })
    let before = succession == .follows ? elsewhere ?? marker : nil
    let next = GitMarker(found, commit: commit, revision: state.revision, before: before).text
    guard state.revision == request.current else { return FetchResult(.changed(state), marker: next) }
    if !state.isSynthesised || [marker?.commit, elsewhere?.commit].contains(commit.id) {
      return FetchResult(.unchanged, marker: next)
    }
    // The same documents in another commit. Later ones must descend from it, so it counts only when it is verified; if no
    // commit of this source was adopted so far, this is not the one.
    return marker == nil && elsewhere == nil ? .unchanged : FetchResult(.changed(state), marker: next)
  }

  /// A drop that will be refused by its signatures, without its documents: the refusal is told in the usual place.
  private func result(of drop: GitState, at found: GitReference.Found) -> FetchResult {
    guard case .drop(_, let manifest, let signatures) = drop.content else { return missingReference }
    let state = FetchedState(
      manifest: manifest, signatures: signatures, evidence: channel, origin: origin(of: drop.commit, at: found),
      documents: RefusedDocuments())
    return FetchResult(
      .changed(state),
      marker: GitMarker(found, commit: drop.commit, revision: state.revision, before: nil).text)
  }

  /// Whether a drop has the trust update that the device would follow next.
  private func isTrustUpdated(
    _ state: GitState, _ objects: AsyncObjectStore, _ verifier: Verifier?
  ) async throws -> Bool {
    guard let verifier, case .drop(let tree, _, _) = state.content else { return false }
    let path = DropLayout.trustUpdate(verifier.policy.trustVersion &+ 1)
    return try await objects.use { try $0.entry(at: path, below: tree) != nil }
  }

  private var missingReference: FetchResult { .absent(.reference, "\(source) has not \(address.reference.missing)") }

  /// The facts about a plain tree are weighed before its files are here.
  private func gate(for found: GitReference.Found, by verifier: Verifier) -> CommitGate {
    CommitGate(
      reference: found.name, path: address.path,
      trustUpdate: DropLayout.plainTrust + DropLayout.trustUpdate(verifier.policy.trustVersion &+ 1)
    ) { _ = try SignedCommit.signers(of: $0, by: verifier) }
  }

  private func origin(of commit: Commit, at found: GitReference.Found) -> Origin {
    Origin(
      reference: found.name, commit: commit.id.hexadecimal, author: commit.author, subject: commit.subject,
      time: Date(timeIntervalSince1970: Double(commit.time)))
  }

  private func channel(_ revision: Revision) -> [any StateEvidence] {
    repository.channel.map { [AuthenticatedChannel($0, gave: revision)] } ?? []
  }

  public func reload() { repository.reload() }

  // MARK: - Acknowledging

  /// Commits a receipt to the device's branch, `acknowledgements/<device>`, and pushes it: see `Receipt`. The same
  /// acknowledgement again is the same tree, and makes no commit.
  ///
  /// - Throws: `BackendError`, with `forbidden` if the credentials only read; `CancellationError`.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    guard address.takesReceipts else {
      throw BackendError(.unsupported, "\(source) takes no receipts, as its address says ('receipts=none')")
    }
    try await withTimeout(.seconds(30)) { [receipts] in try await receipts.add(acknowledgement) }
  }
}
