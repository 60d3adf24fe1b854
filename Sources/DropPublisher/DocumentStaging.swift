import DesiredState
import DesiredStateSupport
import DropArchive
import Glibc

/// Brings documents into a drop: all are written under temporary names, then made durable at once, then renamed.
struct DocumentStaging: ~Copyable {
  /// The drop's `documents` directory.
  let folder: String
  let limits: Limits
  private var staged: [(temporary: String, name: String)] = []
  private var done: Set<Digest> = []
  private var total: UInt64 = 0

  /// Documents that other drops of this run have, which may be the same file as well.
  private let shared: SharedDocuments?
  private let progress: @Sendable (Int) -> Void

  init(folder: String, limits: Limits, shared: SharedDocuments? = nil, progress: (@Sendable (Int) -> Void)? = nil) {
    self.folder = folder
    self.limits = limits
    self.shared = shared
    self.progress = progress ?? { _ in }
  }

  /// Copies a file, unless the drop has its content already.
  ///
  /// If the file changes meanwhile, the copy counts: the digested bytes are the published ones.
  mutating func stage(_ document: DocumentFile) throws -> DocumentReference {
    let source = SharedFile(try Self.open(document, limits))
    var digest = Digest.of([])
    var small: [UInt8]? = try source.read(upTo: Files.chunkSize + 1, at: 0)
    if let bytes = small, bytes.count <= Files.chunkSize {
      digest = .of(bytes)
      progress(bytes.count)
    } else {
      small = nil
      var hasher = Digest.Hasher()
      var ignored: UInt64 = 0
      _ = try Self.read(source.open, limits, total: &ignored) {
        hasher.update($0)
        progress($0.count)
      }
      digest = hasher.finalize()
    }
    var size = UInt64(try source.open.status().size)
    if let small { size = UInt64(small.count) }
    let isThere = try done.contains(digest) || holds(digest, size)
    if !isThere {
      let temporary = Files.temporaryName(for: Files.join(folder, String(staged.count)))
      staged.append((temporary, ""))  // noted first, so that it is removed whatever happens
      if shared?.link(digest, size, to: temporary) != true {
        (digest, size) = try copy(document, small, to: temporary)
      }
      staged[staged.count - 1].name = Files.join(folder, digest.fileName)
    }
    done.insert(digest)
    shared?.note(digest, size, at: Files.join(folder, digest.fileName))
    total = total.addingReportingOverflow(size).partialValue
    try Self.checkTotal(total, limits)
    return DocumentReference(id: document.id, digest: digest, advisorySize: size, url: DropLayout.document(digest))
  }

  /// Makes everything staged durable and gives it its names.
  mutating func publish() throws(FileError) {
    // Writing back the whole file system once is quicker than thousands of fsyncs, and slower than a few.
    if staged.count > 8 {
      try Files.synchronizeFileSystem(of: folder)
    } else {
      for file in staged { try OpenFile(file.temporary, O_RDONLY).synchronize() }
    }
    for file in staged { try Files.rename(file.temporary, to: file.name) }
    staged = []
    try Files.synchronizeDirectory(folder)
  }

  /// Removes the staged files that were not published.
  func discard() {
    for file in staged { unlink(file.temporary) }
  }

  /// Whether the drop has a document with the right content, not only the right name.
  private func holds(_ digest: Digest, _ size: UInt64) throws -> Bool {
    guard let file = try? OpenFile.reading(Files.join(folder, digest.fileName)),
      UInt64(try file.status().size) == size
    else { return false }
    var hasher = Digest.Hasher()
    while case let bytes = try file.read(upTo: Files.chunkSize), !bytes.isEmpty { hasher.update(bytes) }
    return hasher.finalize() == digest
  }

  private func copy(_ document: DocumentFile, _ small: [UInt8]?, to temporary: String) throws -> (Digest, UInt64) {
    let file = try OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC)
    if let small {
      try file.write(small)
      return (.of(small), UInt64(small.count))
    }
    var hasher = Digest.Hasher()
    var ignored: UInt64 = 0
    let size = try Self.read(try Self.open(document, limits), limits, total: &ignored) { bytes in
      hasher.update(bytes)
      try file.write(bytes)
      progress(bytes.count)
    }
    return (hasher.finalize(), size)
  }

  // MARK: - Sources

  /// Opens a file that is to be published: a regular one, not a symbolic link to one.
  static func open(_ document: DocumentFile, _ limits: Limits) throws -> OpenFile {
    do {
      let file = try OpenFile(document.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
      let status = try file.status()
      guard status.isRegular else { throw FileError("read", document.path, code: EINVAL) }
      guard UInt64(status.size) <= limits.documentSize else { throw tooLarge(document.path, limits) }
      return file
    } catch let error as FileError {
      switch error.code {
      case ELOOP: throw PublicationError(.document, "\(document.path) is a symbolic link; publish the file it leads to")
      case EINVAL, ENXIO: throw PublicationError(.document, "\(document.path) is not a regular file")
      default: throw error
      }
    }
  }

  /// Reads a file to its end in chunks and returns its size; stops at the limits, and if the file grows: a log would be
  /// read for ever.
  static func read(
    _ file: borrowing OpenFile, _ limits: Limits, total: inout UInt64, _ take: ([UInt8]) throws -> Void
  ) throws -> UInt64 {
    var size: UInt64 = 0
    let expected = UInt64(try file.status().size)
    guard lseek(file.descriptor, 0, SEEK_SET) == 0 else { throw FileError("read", file.path) }
    while case let bytes = try file.read(upTo: Files.chunkSize), !bytes.isEmpty {
      size += UInt64(bytes.count)
      guard size <= limits.documentSize else { throw tooLarge(file.path, limits) }
      guard size <= expected else {
        throw PublicationError(
          .document, "\(file.path) grows while it is being read; publish again when it is finished")
      }
      try take(bytes)
    }
    total = total.addingReportingOverflow(size).partialValue
    try checkTotal(total, limits)
    return size
  }

  private static func tooLarge(_ path: String, _ limits: Limits) -> VerificationError {
    VerificationError(.limitExceeded, "\(path) is longer than the limit of \(limits.documentSize) bytes for a document")
  }

  private static func checkTotal(_ total: UInt64, _ limits: Limits) throws(VerificationError) {
    guard total <= limits.totalSize else {
      throw VerificationError(.limitExceeded, "the documents are larger than \(limits.totalSize) bytes in all")
    }
  }
}
