import DesiredState
import DesiredStateSupport

/// Reads the documents of one commit, whatever the reference leads to by now.
struct GitDocuments: DocumentReader {
  enum Place: Sendable {
    /// In a drop, whose root is this tree: where the manifest says.
    case drop(ObjectID)
    /// In a plain tree: these blobs, by the document's id; trust updates are below the root, a tree by itself.
    case plain([String: TreeEntry], root: ObjectID)
  }

  let objects: AsyncObjectStore
  let place: Place
  let limits: Limits
  /// The folder that was looked into last, by its path in the drop.
  let folder = LockedValue<(path: Substring, tree: OpenTree)?>(nil)

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let limit = Int(clamping: limits.documentSize)
    let bytes = try await objects.use { store in
      guard let entry = try entry(of: document, store) else {
        throw VerificationError(
          .documentMissing, "document '\(document.id)' is not in the commit; publish it with its manifest",
          evidence: ["document \(document.id)"])
      }
      return try store.file(entry, limit: limit, otherwise: .documentMissing)
    }
    return PiecesOfBytes(bytes)
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    try? await objects.use { store in try entry(of: document, store)?.id.hexadecimal }
  }

  private func entry(of document: DocumentReference, _ store: ObjectStore) throws -> TreeEntry? {
    switch place {
    case .drop(let root): return try entry(at: try DropLayout.path(of: document), below: root, store)
    case .plain(let entries, let root):
      if let url = document.url, url.hasPrefix(DropLayout.plainTrust) {
        return try entry(at: try DropLayout.path(of: document), below: root, store)
      }
      return entries[document.id]
    }
  }

  private func entry(at path: String, below root: ObjectID, _ store: ObjectStore) throws -> TreeEntry? {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let parent = path[..<(slash ?? path.startIndex)]
    let name = slash.map { String(path[path.utf8.index(after: $0)...]) } ?? path
    if let last = folder.withLock(\.self), last.path == parent { return last.tree.entry(named: name) }
    guard let tree = try store.tree(at: String(parent), below: root) else { return nil }
    let opened = OpenTree(try store.readTree(tree))
    folder.withLock { $0 = (parent, opened) }
    return opened.entry(named: name)
  }
}

/// Bytes at hand, handed out in pieces: git keeps an object as a whole, a reader need not.
private struct PiecesOfBytes: AsyncSequence {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate var rest: ArraySlice<UInt8>

    mutating func next() async throws -> [UInt8]? {
      try Task.checkCancellation()
      guard !rest.isEmpty else { return nil }
      defer { rest = rest.dropFirst(256 << 10) }
      return Array(rest.prefix(256 << 10))
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: bytes[...]) }
}
