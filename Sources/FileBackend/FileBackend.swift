public import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc

/// Desired state from a disk: a signed drop, a bundle of one, or a plain directory.
///
/// The layout is recognised at each poll, because a disk can be unmounted, replaced or filled at any time:
///
/// - a directory with `manifest.json` is a **drop**;
/// - a regular file is a **bundle**, a whole drop packed as `.tar.gz`;
/// - a directory without `manifest.json` but with other files is a **plain directory**. Its documents are the regular
///   files below it, named by their relative paths; hidden ones are left out, symbolic links and special files refused;
/// - an empty directory, or one with nothing but a drop's folders or empty directories, publishes nothing: `absent`.
///
/// Nothing is written to the source except receipts, by ``acknowledge(_:)``, and only to a drop.
public final class FileBackend: DesiredStateBackend {
  /// The absolute path. Symbolic links in it stand as they are.
  public let source: String

  /// Fetches and receipts on one thread, documents on another: a long read does not delay a poll.
  private let polling = Worker("desired-state.file.poll")
  private let reading = Worker("desired-state.file.read")
  private let memory: LockedValue<Memory>
  private let seen = Seen()
  private let receiptSigner: ReceiptSigner?

  /// The fingerprint of the manifest or bundle that the last poll saw.
  private final class Seen: Sendable {
    private let fingerprint = LockedValue<String?>(nil)
    var value: String? {
      get { fingerprint.withLock { $0 } }
      set { fingerprint.withLock { $0 = newValue } }
    }
  }

  /// The memory between two polls; touched on the `polling` thread only.
  private struct Memory {
    var plain: PlainDirectory
    /// A bundle that one slice was not enough for. Its scan goes on at the next poll, also after a timeout: a large
    /// bundle on a slow stick takes longer to look through than a poll may.
    var scan: (fingerprint: String, limits: Limits, scan: BundleScan)?
    /// The bundle that was looked through last, and what it holds.
    var bundle: (fingerprint: String, revision: Revision)?

    /// One slice of polling through a bundle.
    mutating func look(
      into file: SharedFile, _ status: FileStatus, current: Revision?, _ limits: Limits
    ) throws -> BundleScan.Progress {
      let fingerprint = status.fingerprint
      if let current, let bundle, bundle.fingerprint == fingerprint, bundle.revision == current { return .unchanged }
      let going = scan.flatMap { $0.fingerprint == fingerprint && $0.limits == limits ? $0.scan : nil }
      scan = nil
      let scan = try going ?? BundleScan(file, limits: limits)
      let progress = try scan.proceed(current: current)
      var revision = current
      switch progress {
      case .unfinished:
        self.scan = (fingerprint, limits, scan)
        return .unfinished
      case .unchanged: break
      case .finished(let found): revision = Revision(ofManifest: found.manifest)
      }
      if let revision, status.isSettled(since: plain.settling) { bundle = (fingerprint, revision) }
      return revision == current ? .unchanged : progress
    }
  }

  /// A backend for a path, which need not exist yet; a relative one is resolved against the working directory now.
  ///
  /// - Parameters:
  ///   - path: the path of a drop, a bundle or a directory.
  ///   - receiptSigner: signs the receipts; nil leaves them unsigned.
  public convenience init(path: String, receiptSigner: ReceiptSigner? = nil) {
    self.init(path: path, receiptSigner: receiptSigner, settling: .seconds(3))
  }

  /// - Parameter settling: see ``PlainDirectory/settling``.
  init(path: String, receiptSigner: ReceiptSigner? = nil, settling: Duration) {
    source = Files.absolute(path)
    self.receiptSigner = receiptSigner
    memory = LockedValue(Memory(plain: PlainDirectory(settling: settling)))
  }

  /// Lets this backend serve paths and `file:` URLs (RFC 8089).
  public static func register(in registry: inout BackendRegistry) {
    registry.register("file", settings: [BackendSetting.receiptSigner.key]) { address, context in
      guard address.query.isEmpty else {
        throw SourceAddressError("a file: URL has no query here; leave out what follows '?'")
      }
      return FileBackend(path: try address.filePath(), receiptSigner: context.settings[.receiptSigner])
    }
  }

  /// Receipts go into drop directories; whether a path is one may change, but nothing is ever written to a bundle.
  public var capabilities: BackendCapabilities {
    DropLayout.isBundle(source) ? [.hintsAtChanges] : [.acknowledges, .hintsAtChanges]
  }

  /// Looks at the path once. If the source is unchanged, `manifest.json` is read and digested and nothing else opened.
  ///
  /// - Throws: `BackendError` with `unreachable` if nothing is there, `forbidden`, or `timeout` if the file system does
  ///   not answer; `VerificationError` if the state is over a limit or cannot be read; `CancellationError`.
  public func fetch(_ request: FetchRequest) async throws -> FetchResult {
    let began = ContinuousClock.now
    let access = Access(worker: polling, timeout: request.timeout, source: source)
    while true {
      // In slices, so that a caller that gave up is noticed, and others have their turn.
      if let result = try await access.run({ [self] in try poll(request, began: began) }) { return result }
      guard ContinuousClock.now - began < request.timeout else {
        throw BackendError(
          .timeout,
          "\(source) could not be read to the end within \(request.timeout); the next poll goes on from here")
      }
    }
  }

  /// Hints at changes that inotify(7) reports; nil if this user has no watches left. A network file system tells nothing
  /// of what other machines do.
  public func changeHints() -> AsyncStream<Void>? {
    ChangeWatcher.hints(at: source) { [seen] in seen.value }
  }

  /// Writes a receipt into the drop, under `acknowledgements/<device>/`: see `Receipt`. The same acknowledgement again
  /// is the same file, and a newer one about the same subject takes its place.
  ///
  /// - Throws: `BackendError` with `unreachable`, `forbidden` or `server-error` if it cannot be written now, and
  ///   `unsupported` if the source is a bundle or a plain directory, where a receipt would become a document;
  ///   `CancellationError`.
  public func acknowledge(_ acknowledgement: Acknowledgement) async throws {
    let receipt = try await Receipt(acknowledgement, signer: receiptSigner)
    let access = Access(worker: polling, timeout: .seconds(30), source: source)
    try await access.run { [self] in
      do {
        let directory = try OpenDirectory(source)
        try checkTakesReceipts(directory)
        try ReceiptWriter.write(receipt, below: directory)
      } catch let error as FileError {
        guard error.code != ENOTDIR else {
          throw noReceipts("is a file; receipts are written to drop directories only")
        }
        throw SourceFailure.unreachable(error, source: source)
      }
    }
  }

  // MARK: - On the thread

  /// One slice of a poll: a result, or nil if it needs another one.
  private func poll(_ request: FetchRequest, began: ContinuousClock.Instant) throws -> FetchResult? {
    do {
      guard let directory = try directory() else { return try bundle(request) }
      if let manifest = try manifest(in: directory, request.limits) {
        return try drop(directory, manifest.bytes, manifest.status, request)
      }
      return try plain(request, began)
    } catch let error as FileError {
      throw SourceFailure.unreachable(error, source: source)
    }
  }

  /// The directory at the path, or nil if something else is there.
  private func directory() throws(FileError) -> OpenDirectory? {
    do {
      return try OpenDirectory(source)
    } catch {
      guard error.code == ENOTDIR, FileStatus(at: source) != nil else { throw error }
      return nil
    }
  }

  /// The bytes of `manifest.json` and its status, or nil if there is none.
  private func manifest(
    in directory: borrowing OpenDirectory, _ limits: Limits
  ) throws -> (bytes: [UInt8], status: FileStatus)? {
    do {
      let file = try directory.file(at: DropLayout.manifest)
      let status = try file.status()
      guard let bytes = try Files.read(file, limit: limits.manifestSize) else {
        throw VerificationError(
          .limitExceeded, "\(file.path) is longer than the limit of \(limits.manifestSize) bytes")
      }
      seen.value = status.fingerprint
      return (bytes, status)
    } catch let error as FileError {
      if error.code == ENOENT { return nil }
      guard let fault = SourceFailure.fault(error) else { throw error }
      throw VerificationError(.manifestMalformed, "\(error.path) cannot be read: \(fault)")
    }
  }

  private func drop(
    _ directory: borrowing OpenDirectory, _ manifest: [UInt8], _ status: FileStatus, _ request: FetchRequest
  ) throws -> FetchResult {
    let revision = Revision(ofManifest: manifest)
    if revision == request.current { return .unchanged }
    return .changed(
      FetchedState(
        manifest: manifest, signatures: try signatures(of: revision, in: directory, request.limits),
        origin: Origin(path: Files.join(source, DropLayout.manifest), time: status.modificationTime),
        documents: reader(isDrop: true, request)))
  }

  private func signatures(
    of revision: Revision, in directory: borrowing OpenDirectory, _ limits: Limits
  ) throws -> [[UInt8]] {
    do {
      let file = try directory.file(at: DropLayout.signatures(of: revision))
      guard let bytes = try Files.read(file, limit: limits.evidenceSize) else {
        throw VerificationError(
          .limitExceeded, "\(file.path) is longer than the limit of \(limits.evidenceSize) bytes")
      }
      return [bytes]
    } catch let error as FileError {
      if error.code == ENOENT || error.code == ENOTDIR { return [] }
      guard let fault = SourceFailure.fault(error) else { throw error }
      throw VerificationError(.signatureInvalid, "\(error.path) cannot be read: \(fault)")
    }
  }

  private func bundle(_ request: FetchRequest) throws -> FetchResult? {
    let file: SharedFile
    do throws(FileError) {
      file = SharedFile(try OpenFile.reading(source))
    } catch {
      guard let fault = SourceFailure.fault(error) else { throw error }
      throw VerificationError(.manifestMalformed, "\(source) is neither a directory nor a bundle: \(fault)")
    }
    let status = try file.open.status()
    seen.value = status.fingerprint
    let progress = try memory.withLock { memory in
      try memory.look(into: file, status, current: request.current, request.limits)
    }
    switch progress {
    case .unfinished: return nil
    case .unchanged: return .unchanged
    case .finished(let bundle):
      return .changed(
        FetchedState(
          manifest: bundle.manifest, signatures: bundle.signatures,
          origin: Origin(path: source, time: status.modificationTime),
          documents: BundleReader(
            access: Access(worker: reading, timeout: request.timeout, source: source), bundle: bundle)))
    }
  }

  private func plain(_ request: FetchRequest, _ began: ContinuousClock.Instant) throws -> FetchResult? {
    guard try !isUnpublished() else {
      return .absent(
        .manifest, "\(quoted(source, limit: 1024)) has no \(DropLayout.manifest); it counts when that is published")
    }
    let found = try memory.withLock { memory in
      try memory.plain.documents(below: source, limits: request.limits, began: began)
    }
    guard let documents = found else { return nil }
    // Empty directories are no state: a fresh disk has one ("lost+found").
    guard !documents.isEmpty else {
      return .absent(
        .documents, "\(quoted(source, limit: 1024)) holds no file; check the path, and that its disk is mounted")
    }
    let state = FetchedState(
      synthesisedFrom: documents, origin: Origin(path: source), documents: reader(isDrop: false, request))
    return state.revision == request.current ? .unchanged : .changed(state)
  }

  private func isUnpublished() throws(FileError) -> Bool {
    try DropLayout.isUnpublished(holding: try Files.names(in: source)) { folder throws(FileError) in
      let path = Files.join(source, folder)
      return FileStatus(at: path)?.isDirectory == true ? try Files.names(in: path) : nil
    }
  }

  /// Receipts are for publishers, who look for them in a drop: one with a manifest, or one that is still being made.
  private func checkTakesReceipts(_ directory: borrowing OpenDirectory) throws {
    if try directory.holds(DropLayout.manifest) { return }
    let names = try Files.names(in: source).filter { !DropLayout.isHidden($0) }
    guard !names.isEmpty else {
      throw BackendError(
        .unreachable,
        "\(source) is empty: nothing is published there, or its disk is not mounted; the acknowledgement waits in the outbox"
      )
    }
    guard try isUnpublished(), !DropLayout.folders.isDisjoint(with: names) else {
      throw noReceipts("is no drop: it has no \(DropLayout.manifest), and a receipt would become one of its documents")
    }
  }

  private func noReceipts(_ reason: String) -> BackendError {
    BackendError(.unsupported, "\(source) \(reason); the acknowledgement waits in the outbox")
  }

  private func reader(isDrop: Bool, _ request: FetchRequest) -> DirectoryReader {
    DirectoryReader(
      access: Access(worker: reading, timeout: request.timeout, source: source), root: source, isDrop: isDrop)
  }
}
