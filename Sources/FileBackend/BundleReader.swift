import DesiredState
import DesiredStateSupport
import DropArchive

/// Reads the documents of a bundle: in the archive's order, one pass serves all.
final class BundleReader: DocumentReader {
  private let access: Access
  private let bundle: Bundle
  /// A position in the archive without a reader.
  private let idle = LockedValue<BundleCursor?>(nil)

  init(access: Access, bundle: Bundle) {
    self.access = access
    self.bundle = bundle
  }

  func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] {
    documents.map { (position: position(of: $0) ?? .max, document: $0) }
      .sorted { $0.position < $1.position }
      .map(\.document)
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    // The bundle's own: a document changes with it.
    let path = bundle.file.open.path
    return try? await access.run { try OpenFile.reading(path).status().fingerprint }
  }

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let path = try DropLayout.path(of: document)
    guard let position = bundle.positions[path] else {
      throw VerificationError(
        .documentMissing, "document '\(document.id)' is not in \(bundle.file.open.path) as \(path)",
        evidence: ["document \(document.id)"])
    }
    let bundle = bundle
    var cursor = take() ?? BundleCursor(bundle)
    while true {
      let first = try await access.run { [cursor] in
        do {
          return try cursor.begin(position)
        } catch let error as FileError {
          throw SourceFailure.unreachable(error, source: bundle.file.open.path)
        }
      }
      switch first {
      case .behind: cursor = BundleCursor(bundle)
      case .unfinished: break
      case .whole(let bytes):
        give(cursor)
        return DocumentBytes(bytes)
      case .part(let bytes):
        return BundleBytes(first: bytes, rest: BundleDocument(cursor, access) { [weak self] in self?.give($0) })
      }
    }
  }

  private func position(of document: DocumentReference) -> Int? {
    (try? DropLayout.path(of: document)).flatMap { bundle.positions[$0] }
  }

  private func take() -> BundleCursor? {
    idle.withLock { idle in
      defer { idle = nil }
      return idle
    }
  }

  /// Keeps a cursor for the next document.
  private func give(_ cursor: BundleCursor) { idle.withLock { $0 = cursor } }
}

/// A position in a bundle that only moves forward.
///
/// Sound: everything but `init` and `deinit` runs on the one serial queue of the reader's worker, and `init` and `deinit`
/// run when no other reader has the cursor.
final class BundleCursor: @unchecked Sendable {
  private let bundle: Bundle
  private var reader: TarReader?
  private var hasFailed = false

  init(_ bundle: Bundle) { self.bundle = bundle }

  enum Step: Sendable {
    /// The entry is behind the cursor; another cursor is needed.
    case behind
    /// The slice was too short; call again.
    case unfinished
    /// The entry, all of it.
    case whole([UInt8])
    /// The entry's first bytes.
    case part([UInt8])
  }

  /// Moves to an entry, for one slice of time, and reads its first chunk.
  func begin(_ position: Int) throws -> Step {
    let reader = try reader ?? TarReader(bundle.file, limits: bundle.limits)
    self.reader = reader
    guard !hasFailed, reader.position < position else { return .behind }
    let deadline = ContinuousClock.now + Access.slice
    hasFailed = true  // until it is known better
    while reader.position < position {
      guard try reader.skip(until: deadline) else {
        hasFailed = false
        return .unfinished
      }
      guard try reader.next() != nil else { throw TarReader.truncated(bundle.file.open.path) }
    }
    let bytes = try reader.read(upTo: Files.chunkSize + 1)
    hasFailed = false
    return bytes.count <= Files.chunkSize ? .whole(bytes) : .part(bytes)
  }

  /// The next bytes of the entry; none at its end.
  func next() throws -> [UInt8] {
    guard !hasFailed, let reader else { throw TarReader.truncated(bundle.file.open.path) }
    hasFailed = true
    let bytes = try reader.read(upTo: Files.chunkSize)
    hasFailed = false
    return bytes
  }
}

/// A document that is being read from a bundle; the cursor goes back when it is over or given up.
final class BundleDocument: Sendable {
  private let cursor: BundleCursor
  private let access: Access
  private let giveBack: @Sendable (BundleCursor) -> Void

  init(_ cursor: BundleCursor, _ access: Access, giveBack: @escaping @Sendable (BundleCursor) -> Void) {
    self.cursor = cursor
    self.access = access
    self.giveBack = giveBack
  }

  deinit { giveBack(cursor) }

  func next() async throws -> [UInt8] {
    let source = access.source
    return try await access.run { [cursor] in
      do {
        return try cursor.next()
      } catch let error as FileError {
        throw SourceFailure.unreachable(error, source: source)
      }
    }
  }
}

/// The bytes of a document in a bundle, which can be read once.
struct BundleBytes: AsyncSequence, Sendable {
  let first: [UInt8]
  let rest: BundleDocument

  struct AsyncIterator: AsyncIteratorProtocol {
    var first: [UInt8]?
    let rest: BundleDocument

    mutating func next() async throws -> [UInt8]? {
      if let bytes = first {
        first = nil
        return bytes
      }
      let bytes = try await rest.next()
      return bytes.isEmpty ? nil : bytes
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(first: first, rest: rest) }
}
