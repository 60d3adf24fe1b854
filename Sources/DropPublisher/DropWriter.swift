public import DesiredState
import DesiredStateSupport
import FileBackend
import FoundationEssentials
import Glibc

/// Publishes desired state: into a drop directory, or as one `.tar.gz` file that holds a whole drop.
///
/// In a directory, documents come first, then the signatures, then `manifest.json` by an atomic rename, each durable
/// before the next: a reader, a kill or a power cut finds the state before or the new one. A file is written whole under
/// another name, and renamed. One publisher at a time; the others are told so.
public struct DropWriter: Sendable {
  /// The directory or file, as given.
  public let path: String
  /// Bounds that devices keep when they read; what would break them is not published.
  public let limits: Limits

  let worker = Worker("desired-state.file.publish")

  /// A writer for a directory, made if it does not exist, or for a file if the path ends in `.tar.gz` or `.tgz`.
  public init(path: String, limits: Limits = Limits()) {
    self.path = path
    self.limits = limits
  }

  /// The documents of a directory: its regular files, named by their relative paths, hidden ones left out.
  ///
  /// - Throws: `VerificationError` if there is a symbolic link or special file, or too many files; `FileError` if the
  ///   directory cannot be read, or is not there.
  public func documents(in directory: String) async throws -> [DocumentFile] {
    try await worker.run {
      try DirectoryWalk.files(below: directory, limits: limits).map { file in
        DocumentFile(id: file.id, path: Files.join(directory, file.id))
      }
    }
  }

  /// Publishes documents as the next version; none at all is a state too, an explicitly empty one.
  ///
  /// - Returns: the publication; it is durable.
  /// - Throws: ``PublicationError``; `VerificationError` if ids or limits would be refused by every device;
  ///   `FileError`; what the signer throws; `CancellationError`.
  public func publish(
    _ documents: [DocumentFile], options: PublicationOptions = PublicationOptions(),
    signer: (any ManifestSigner)? = nil
  ) async throws -> Publication {
    try check(documents, options)
    return DropLayout.isBundle(path)
      ? try await publishFile(documents, options, signer)
      : try await publishDirectory(documents, options, signer)
  }

  func check(_ documents: [DocumentFile], _ options: PublicationOptions) throws {
    guard documents.count <= limits.documentCount else {
      throw VerificationError(
        .limitExceeded, "\(documents.count) documents are more than the limit of \(limits.documentCount)")
    }
    try DocumentID.check(documents.map(\.id))
    guard options.version != 0 else { throw PublicationError(.options, "versions start at 1, not at 0") }
    if let expires = options.expires, expires <= options.issued {
      throw PublicationError(.options, "the state would expire before it is issued; no device would adopt it")
    }
  }

  // MARK: - Into a directory

  private func publishDirectory(
    _ documents: [DocumentFile], _ options: PublicationOptions, _ signer: (any ManifestSigner)?
  ) async throws -> Publication {
    let prepared = try await worker.run { try prepareDirectory(documents, options) }
    let signatures = try await sign(prepared, signer)
    try await worker.run {
      // Held to the last; and given up here, because a closure that was run may be let go at any time.
      defer { prepared.lock.release() }
      try place(prepared, signatures, options)
    }
    return prepared.publication(isSigned: signatures != nil)
  }

  private func prepareDirectory(_ documents: [DocumentFile], _ options: PublicationOptions) throws -> Prepared {
    for document in documents { try checkOutside(document) }
    try Files.createDirectories(Files.join(path, DropLayout.documents))
    let lock = try lock(path)
    try DropPruning.removeTemporaries(of: path)
    let (version, before) = try nextVersion(options) { try publishedManifest() }
    var staging = DocumentStaging(
      folder: Files.join(path, DropLayout.documents), limits: limits, shared: options.sharedDocuments,
      progress: options.progress)
    defer { staging.discard() }
    let references = try documents.map { try staging.stage($0) }
    try staging.publish()
    let manifest = StateManifest(
      version: version, bundle: options.bundle ? try writeBundle(of: references) : nil, documents: references,
      device: options.device, issued: options.issued, expires: options.expires, trust: try TrustFolder(path).newest(),
      message: options.message)
    return try Prepared(manifest, after: before, lock, limits)
  }

  /// The signatures first, then the manifest; also among those that one can go back to.
  func place(_ prepared: Prepared, _ signatures: [UInt8]?, _ options: PublicationOptions) throws {
    if let signatures { try writeSignatures(signatures, of: prepared.revision) }
    let history = DropHistory(path)
    try history.record(prepared.bytes, version: prepared.manifest.version ?? 0)
    try writeManifest(prepared.bytes)
    try history.prune(keeping: options.prune ? 1 : DropHistory.kept)
    if options.prune { try DropPruning.prune(path, keeping: prepared.manifest, revision: prepared.revision) }
  }

  /// The manifest in place; `.some(nil)` if there is none, nil if it is too long.
  func publishedManifest() throws(FileError) -> [UInt8]?? {
    do throws(FileError) {
      return try Files.read(try OpenDirectory(path).file(at: DropLayout.manifest), limit: limits.manifestSize)
    } catch {
      guard error.code == ENOENT else { throw error }
      return .some(nil)
    }
  }

  /// Puts the manifest in place, with another time than the one before. Servers tell versions apart by time and size, in
  /// seconds, and two manifests often have one size.
  func writeManifest(_ bytes: [UInt8]) throws {
    let file = Files.join(path, DropLayout.manifest)
    let before = FileStatus(at: file)?.modified.tv_sec
    try Files.replace(file, with: bytes)
    guard let before, let after = FileStatus(at: file)?.modified.tv_sec, after <= before else { return }
    let time = timespec(tv_sec: before + 1, tv_nsec: 0)
    guard utimensat(AT_FDCWD, file, [time, time], 0) == 0 else { throw FileError("set the time of", file) }
  }

  func writeSignatures(_ signatures: [UInt8], of revision: Revision) throws {
    try Files.createDirectories(Files.join(path, DropLayout.signatures))
    try Files.replace(Files.join(path, DropLayout.signatures(of: revision)), with: signatures)
    try Files.synchronizeDirectory(path)
  }

  /// One archive with the documents at its root, each named by its id with `.yaml`, as Margo's agents look for them; nil if
  /// there are none (Margo's rule: an empty state has `bundle: null`). This package's own agents go by digests.
  private func writeBundle(of references: [DocumentReference]) throws -> StateManifest.BundleReference? {
    guard !references.isEmpty else { return nil }
    let folder = Files.join(path, DropLayout.bundles)
    try Files.createDirectories(folder)
    let temporary = Files.temporaryName(for: Files.join(folder, "bundle"))
    defer { unlink(temporary) }
    let writer = try TarWriter(temporary)
    for reference in references {
      try writer.add(
        Self.entryName(of: reference),
        from: try OpenFile.reading(Files.join(path, DropLayout.document(reference.digest))),
        digest: reference.digest, size: reference.advisorySize ?? 0)
    }
    let (digest, size) = try writer.finish()
    try Files.rename(temporary, to: Files.join(path, DropLayout.bundle(digest)))
    try Files.synchronizeDirectory(folder)
    return StateManifest.BundleReference(digest: digest, advisorySize: size, url: DropLayout.bundle(digest))
  }

  /// What a file's name cannot have is percent-encoded; an id too long for one goes by its digest.
  private static func entryName(of reference: DocumentReference) -> String {
    let name = PercentEncoding.encode(segment: reference.id) + ".yaml"
    return name.utf8.count > 200 ? reference.digest.fileName : name
  }

  // MARK: - As one file

  private func publishFile(
    _ documents: [DocumentFile], _ options: PublicationOptions, _ signer: (any ManifestSigner)?
  ) async throws -> Publication {
    guard !options.bundle else {
      throw PublicationError(.options, "\(path) is a bundle itself; a bundle in it is of no use")
    }
    let prepared = try await worker.run { try prepareFile(documents, options) }
    let signatures = try await sign(prepared, signer)
    try await worker.run { try writeFile(prepared, signatures, documents, trust: options.trustUpdates) }
    return prepared.publication(isSigned: signatures != nil)
  }

  private func prepareFile(_ documents: [DocumentFile], _ options: PublicationOptions) throws -> Prepared {
    let folder = Files.parent(path)
    try Files.createDirectories(folder)
    // The file is replaced, so a lock on it would lock the old one; the directory stays.
    let lock = try lock(folder)
    try DropPruning.removeTemporaries(in: folder, of: path)
    let (version, before) = try nextVersion(options) { try BundleManifest.read(path, limits: limits) }
    let manifest = StateManifest(
      version: version, documents: try references(to: documents), device: options.device, issued: options.issued,
      expires: options.expires, trust: try options.trustUpdates.flatMap { try TrustFolder($0).newest() },
      message: options.message)
    return try Prepared(manifest, after: before, lock, limits)
  }

  /// The references that a manifest would have, from the files as they are now.
  func references(to documents: [DocumentFile]) throws -> [DocumentReference] {
    var total: UInt64 = 0
    return try documents.map { document in
      let file = try DocumentStaging.open(document, limits)
      var hasher = Digest.Hasher()
      let size = try DocumentStaging.read(file, limits, total: &total) { hasher.update($0) }
      let digest = hasher.finalize()
      return DocumentReference(id: document.id, digest: digest, advisorySize: size, url: DropLayout.document(digest))
    }
  }

  /// The manifest first, then its signatures, then the documents in the manifest's order: a reader that knows the
  /// revision stops at the first entry, and one pass serves a reader that does not.
  private func writeFile(
    _ prepared: Prepared, _ signatures: [UInt8]?, _ documents: [DocumentFile], trust: String?
  ) throws {
    defer { prepared.lock.release() }
    let temporary = Files.temporaryName(for: path)
    defer { unlink(temporary) }
    let writer = try TarWriter(temporary)
    try writer.add(DropLayout.manifest, prepared.bytes)
    if let signatures { try writer.add(DropLayout.signatures(of: prepared.revision), signatures) }
    for number in 1..<(prepared.manifest.trust ?? 0) + 1 {
      for path in [DropLayout.trustUpdate(number), DropLayout.trustSignatures(number)] {
        try writer.add(path, try TrustFolder(trust ?? "").bytes(at: path))
      }
    }
    let files = Dictionary(
      zip(prepared.manifest.documents.map(\.digest), documents), uniquingKeysWith: { first, _ in first })
    for reference in Self.distinct(prepared.manifest.documents) {
      let file = try DocumentStaging.open(files[reference.digest]!, limits)
      try writer.add(
        DropLayout.document(reference.digest), from: file, digest: reference.digest, size: reference.advisorySize ?? 0)
    }
    _ = try writer.finish()
    try Files.rename(temporary, to: path)
    try Files.synchronizeDirectory(Files.parent(path))
  }

  // MARK: - Both

  /// A manifest that is ready to be signed, and the lock under which it was made.
  struct Prepared: Sendable {
    let manifest: StateManifest
    let bytes: [UInt8]
    let revision: Revision
    let lock: FileLock
    private let warnings: [String]

    init(
      _ manifest: StateManifest, after before: StateManifest?, _ lock: FileLock, _ limits: Limits
    ) throws(VerificationError) {
      self.manifest = manifest
      warnings = before.map { Publication.warnings(of: manifest, after: $0) } ?? []
      self.lock = lock
      bytes = manifest.encoded()
      revision = Revision(ofManifest: bytes)
      guard bytes.count <= limits.manifestSize else {
        throw VerificationError(
          .limitExceeded, "the manifest would have \(bytes.count) bytes, the limit is \(limits.manifestSize)")
      }
    }

    func publication(isSigned: Bool) -> Publication {
      Publication(revision: revision, manifest: manifest, isSigned: isSigned, warnings: warnings)
    }
  }

  func lock(_ directory: String) throws -> FileLock {
    guard let lock = try FileLock(directory) else {
      throw PublicationError(
        .busy, "another publisher is at work in \(directory); try again when it has finished")
    }
    return lock
  }

  func sign(_ prepared: Prepared, _ signer: (any ManifestSigner)?) async throws -> [UInt8]? {
    guard let signer else { return nil }
    do {
      let signatures = try await signer.sign(prepared.bytes)
      guard !signatures.isEmpty else { throw PublicationError(.unsigned, "the signer gave no signature") }
      guard signatures.count <= limits.evidenceSize else {
        throw VerificationError(
          .limitExceeded, "the signatures have \(signatures.count) bytes, the limit is \(limits.evidenceSize)")
      }
      return signatures
    } catch {
      prepared.lock.release()
      throw error
    }
  }

  /// The version asked for, or the one after the published one.
  ///
  /// - Parameter published: reads the manifest that is there; `.some(nil)` if there is none, nil if it is too long.
  /// - Returns: the version, and the manifest that is published now, if one can be read.
  func nextVersion(
    _ options: PublicationOptions, _ published: () throws -> [UInt8]??
  ) throws -> (UInt64, before: StateManifest?) {
    let before: StateManifest?
    do {
      guard let read = try published() else {
        throw VerificationError(.limitExceeded, "it is longer than the limit of \(limits.manifestSize) bytes")
      }
      before = try read.map { try StateManifest(parsing: $0) }
    } catch {
      guard let version = options.version else {
        throw PublicationError(
          .unreadable,
          "the version published at \(path) cannot be read (\(error)); say which version this is to be",
          underlying: error)
      }
      return (version, nil)
    }
    guard let current = before?.version else { return (options.version ?? 1, before) }
    if let version = options.version {
      guard version > current else {
        throw PublicationError(
          .options, "version \(version) is not above version \(current), which is published; devices would refuse it")
      }
      return (version, before)
    }
    guard current < UInt64.max else {
      throw PublicationError(.options, "version \(current) is published, and there is none above it")
    }
    return (current + 1, before)
  }

  /// A document that lies in the drop itself was not meant: the documents' directory contains the drop.
  func checkOutside(_ document: DocumentFile) throws(PublicationError) {
    guard let root = realpath(path, nil) else { return }  // not there yet
    defer { free(root) }
    guard let file = realpath(document.path, nil) else { return }  // the reader of the document says so better
    defer { free(file) }
    guard String(cString: file).hasPrefix(String(cString: root) + "/") else { return }
    throw PublicationError(.document, "\(document.path) lies in the drop itself; keep documents and drop apart")
  }

  /// The first reference of each digest: equal documents are stored once.
  private static func distinct(_ references: [DocumentReference]) -> [DocumentReference] {
    var seen: Set<Digest> = []
    return references.filter { seen.insert($0.digest).inserted }
  }
}
