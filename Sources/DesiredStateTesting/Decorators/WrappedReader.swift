import DesiredState

/// A reader that does something before and after another reader's work.
struct WrappedReader: DocumentReader {
  typealias Bytes = any AsyncSequence<[UInt8], any Error>
  let base: any DocumentReader
  let opening: @Sendable (DocumentReference, any DocumentReader) async throws -> Bytes

  func open(_ document: DocumentReference) async throws -> Bytes { try await opening(document, base) }
  func open(_ document: DocumentReference, from offset: UInt64) async throws -> Bytes {
    try await opening(document, OffsetReader(base: base, offset: offset))
  }
  func readingOrder(of documents: [DocumentReference]) -> [DocumentReference] { base.readingOrder(of: documents) }
  func fingerprint(of document: DocumentReference) async -> String? { await base.fingerprint(of: document) }
}

/// A reader whose documents begin at an offset.
private struct OffsetReader: DocumentReader {
  let base: any DocumentReader
  let offset: UInt64

  func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    try await base.open(document, from: offset)
  }
}

/// A document's bytes, each piece changed or refused on its way.
struct WrappedBytes: AsyncSequence {
  let base: any AsyncSequence<[UInt8], any Error>
  let change: @Sendable ([UInt8]) async throws -> [UInt8]

  struct AsyncIterator: AsyncIteratorProtocol {
    var base: any AsyncIteratorProtocol<[UInt8], any Error>
    let change: @Sendable ([UInt8]) async throws -> [UInt8]

    mutating func next() async throws -> [UInt8]? { try await next(isolation: nil) }

    mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
      guard let piece = try await base.next(isolation: actor) else { return nil }
      return try await change(piece)
    }
  }

  func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), change: change) }
}
