import DesiredState

/// Reads documents of a ``MockBackend``'s source.
struct MockDocuments: DocumentReader {
  let remote: MockSource
  let timeout: Duration

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await open(document, from: 0)
  }

  func open(
    _ document: DocumentReference, from offset: UInt64
  ) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await remote.pass(.read, timeout: timeout)
    guard let content = remote.content(of: document.digest) else {
      throw VerificationError(
        .documentMissing, "document '\(document.id)' is not at the source; if it is being copied it will be seen later")
    }
    return MockDocument(content: content, offset: Int(clamping: offset), remote: remote, timeout: timeout)
  }
}

/// One document's bytes, piece by piece.
struct MockDocument: AsyncSequence, Sendable {
  enum Content: Sendable {
    case bytes([UInt8])
    case endless
  }

  let content: Content
  var offset = 0
  let remote: MockSource
  let timeout: Duration

  struct AsyncIterator: AsyncIteratorProtocol {
    let document: MockDocument
    var offset: Int

    mutating func next() async throws -> [UInt8]? {
      try await document.remote.pass(.read, timeout: document.timeout)
      let piece: [UInt8]
      switch document.content {
      case .bytes(let bytes):
        guard offset < bytes.count else { return nil }
        piece = Array(bytes[offset..<Swift.min(offset + MockSource.pieceSize, bytes.count)])
      case .endless:
        piece = [UInt8](repeating: UInt8(ascii: "."), count: MockSource.pieceSize)
      }
      offset += piece.count
      document.remote.count { $0.bytes += UInt64(piece.count) }
      return piece
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(document: self, offset: offset) }
}
