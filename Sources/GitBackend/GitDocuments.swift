import DesiredState

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

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let limit = Int(clamping: limits.documentSize)
    let bytes = try await objects.use { [place] store in
      guard let entry = try Self.entry(of: document, in: place, store) else {
        throw VerificationError(
          .documentMissing, "document '\(document.id)' is not in the commit; publish it with its manifest",
          evidence: ["document \(document.id)"])
      }
      return try store.file(entry, limit: limit, otherwise: .documentMissing)
    }
    return PiecesOfBytes(bytes)
  }

  func fingerprint(of document: DocumentReference) async -> String? {
    try? await objects.use { [place] store in try Self.entry(of: document, in: place, store)?.id.hexadecimal }
  }

  private static func entry(
    of document: DocumentReference, in place: Place, _ store: ObjectStore
  ) throws -> TreeEntry? {
    switch place {
    case .drop(let tree): try store.entry(at: try DropLayout.path(of: document), below: tree)
    case .plain(let entries, let root):
      if let url = document.url, url.hasPrefix(DropLayout.plainTrust) {
        try store.entry(at: try DropLayout.path(of: document), below: root)
      } else {
        entries[document.id]
      }
    }
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
