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
/// - a directory with `manifest.json` is a **drop**, trusted as on every other road by its manifest's signatures;
/// - another one is a **plain tree**. Its documents are the files below it, as they are in the repository, without any
///   filter; hidden ones are left out; symbolic links, submodules and Git LFS pointers are refused. Its evidence is the
///   SSH signature of the commit, or of the annotated tag, and it must descend from the adopted commit;
/// - a plain tree without any file is an explicitly empty state: git keeps no empty directory, so somebody put `.gitkeep`
///   there, or emptied the root, on purpose;
/// - nothing at the path, or no such reference, is `absent`.
public final class GitBackend: DesiredStateBackend {
  /// The repository with what is followed in it, without a user's name.
  public let source: String
  public let capabilities: BackendCapabilities = [.acknowledges]

  private let address: GitAddress
  private let repository: any GitRepository
  private let receipts: ReceiptBranch
  private let digests = BlobDigests()

  init(_ address: GitAddress, repository: any GitRepository, receipts: ReceiptBranch) {
    self.address = address
    self.repository = repository
    self.receipts = receipts
    source = address.source
  }

  /// Lets this backend serve `git+https:`, `git+http:`, `git+ssh:` and `git+file:`.
  public static func register(in registry: inout BackendRegistry) {
    for scheme in GitAddress.Scheme.allCases {
      // Of every road: receipts may go to another repository than the state comes from.
      registry.register(scheme.rawValue, settings: TransportSettings.names.union(SSHGitTransport.settingNames)) {
        try GitBackend($0, context: $1)
      }
    }
  }

  /// A backend for an address, with the settings of a context; nothing is connected to yet.
  ///
  /// - Throws: ``SourceAddressError`` if the address or a setting cannot be used.
  public convenience init(_ address: SourceAddress, context: BackendContext) throws {
    let address = try GitAddress(address)
    let receipts = try address.receiptsAddress.map { try GitAddress(try SourceAddress($0)) } ?? address
    self.init(
      address, repository: try Self.repository(address, context, for: "state"),
      receipts: ReceiptBranch(
        try Self.repository(receipts, context, for: "receipts"), reference: address.receiptsReference))
  }

  static func repository(
    _ address: GitAddress, _ context: BackendContext, for purpose: String
  ) throws -> any GitRepository {
    let road: any GitTransport
    switch address.scheme {
    case .file: return LocalRepository(path: address.location, source: address.source)
    case .https, .http:
      road = try HTTPGitTransport(url: address.location, source: address.source, settings: context.settings)
    case .ssh:
      road = try SSHGitTransport(url: address.location, source: address.source, settings: context.settings)
    }
    return RemoteRepository(
      road, source: address.source, cacheParent: context.cacheDirectory, purpose: purpose)
  }

  // MARK: - Looking

  /// Looks at the reference once. If it leads where it did, one question is all that is asked.
  ///
  /// - Throws: ``BackendError`` if the repository cannot be reached, before the timeout; ``VerificationError`` if what is
  ///   there is over a limit or no state; `CancellationError`.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    try await withTimeout(request.timeout) { [self] in
      do {
        return try await look(request)
      } catch let error as BackendError where error.underlying is LibGit2Error {
        // Objects that were here are gone: a cache was damaged and is made anew, or a repository was repacked.
        return try await look(request)
      }
    }
  }

  private func look(_ request: FetchRequest) async throws -> FetchResult {
    let marker = request.marker.flatMap { GitMarker($0) }
    guard let target = try await repository.target(of: address.references) else {
      return .absent(
        .reference,
        "\(source) has no \(address.references.map { quoted($0) }.joined(separator: " or ")); check 'ref=', or push it")
    }
    if let marker, marker.target == target, marker.revision == request.current {
      return FetchResult(.unchanged, marker: marker.text)
    }
    // If another repository brought what the device is on, a mirror perhaps, the next commit must follow on that one.
    let elsewhere = request.adoptedMarker.flatMap { GitMarker($0) }
    let adopted = address.acceptsAnyHistory ? nil : elsewhere ?? marker
    let limits = request.limits
    var objects = try await repository.objects(
      of: target, history: adopted.map { .since($0) } ?? .nothing, limits: limits)
    let found = try await objects.use { [path = address.path] in try $0.state(of: target, at: path, limits: limits) }
    let origin = Origin(
      reference: address.references.count == 1 ? address.references[0] : address.references.joined(separator: " or "),
      commit: found.commit.id.hexadecimal, author: found.commit.author, subject: found.commit.subject,
      time: Date(timeIntervalSince1970: Double(found.commit.time)))
    let channel = repository.channel
    let state: FetchedState
    switch found.content {
    case .absent(let absence): return FetchResult(.absent(absence))
    case .drop(let tree, let manifest, let signatures):
      // Its version keeps order; which commit it came with does not matter.
      state = FetchedState(
        manifest: manifest, signatures: signatures, evidence: { Self.channel(channel, $0) }, origin: origin,
        documents: GitDocuments(objects: objects, place: .drop(tree), limits: limits))
    case .plain(let entries):
      var descent = try await descent(of: found.commit, from: adopted, in: objects)
      for generations in HistoryDepth.generations {
        guard let adopted, case .unproven(isCut: true) = descent else { break }
        objects = try await repository.objects(
          of: target, history: .generations(adopted, count: generations), limits: limits)
        descent = try await self.descent(of: found.commit, from: adopted, in: objects)
      }
      let references = try await digests.references(of: entries, in: objects, limits: limits)
      state = FetchedState(
        synthesisedFrom: references,
        evidence: { revision in
          let commit = SignedCommit(
            revision: revision, commit: found.commit.id, signatures: found.signatures,
            history: adopted.flatMap { marker in descent.map { (marker.commit, $0) } })
          return Self.channel(channel, revision) + [commit]
        },
        origin: origin,
        documents: GitDocuments(
          objects: objects, place: .plain(
            Dictionary(entries.map { ($0.path, $0) }) { first, _ in first }, root: found.commit.tree),
          limits: limits))
    }
    let next = GitMarker(target: target, commit: found.commit, revision: state.revision).text
    guard state.revision == request.current else { return FetchResult(.changed(state), marker: next) }
    if !state.isSynthesised || [marker?.commit, elsewhere?.commit].contains(found.commit.id) {
      return FetchResult(.unchanged, marker: next)
    }
    // The same documents in another commit. Later ones must descend from it, so it counts only when it is verified; if no
    // commit of this source was adopted so far, this is not the one.
    return marker == nil && elsewhere == nil ? .unchanged : FetchResult(.changed(state), marker: next)
  }

  private func descent(
    of commit: Commit, from adopted: GitMarker?, in objects: AsyncObjectStore
  ) async throws -> ObjectStore.Ancestry? {
    guard let adopted else { return nil }
    return try await objects.use { try $0.descent(of: commit.id, from: adopted.commit) }
  }

  private static func channel(_ words: String?, _ revision: Revision) -> [any StateEvidence] {
    words.map { [AuthenticatedChannel($0, gave: revision)] } ?? []
  }

  // MARK: - Acknowledging

  /// Commits a receipt to the device's branch, `acknowledgements/<device>`, and pushes it: see ``Receipt``. The same
  /// acknowledgement again is the same tree, and makes no commit.
  ///
  /// - Throws: ``BackendError``, with `forbidden` if the credentials only read; `CancellationError`.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    try await withTimeout(.seconds(30)) { [receipts] in try await receipts.add(acknowledgement) }
  }
}
