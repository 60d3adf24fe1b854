import DesiredState
import HTTPTransport

/// A document on its way over HTTP, in pieces of bounded size and with errors in the contract's words.
package struct DocumentExchange: AsyncSequence, Sendable {
  /// libcurl hands over all that it holds at once, after decoding perhaps megabytes.
  private static let longestPiece = 256 << 10

  let document: DocumentReference
  let exchange: HTTPExchange
  let limit: UInt64
  /// How long whoever reads is to wait for a piece; nil: as long as the transport's stall limit allows.
  var timeout: Duration?

  package struct AsyncIterator: AsyncIteratorProtocol {
    let document: DocumentReference
    let limit: UInt64
    let timeout: Duration?
    let body: HTTPResponseBody.Iterator
    var rest: ArraySlice<UInt8> = []

    package mutating func next() async throws -> [UInt8]? {
      if rest.isEmpty {
        guard let chunk = try await chunk() else { return nil }
        if chunk.count <= longestPiece { return chunk }
        rest = chunk[...]
      }
      defer { rest = rest.dropFirst(longestPiece) }
      return Array(rest.prefix(longestPiece))
    }

    private func chunk() async throws -> [UInt8]? {
      do {
        var body = body
        guard let timeout else { return try await body.next(isolation: nil) }
        return try await withTimeout(timeout) { [body] in
          var body = body
          return try await body.next(isolation: nil)
        }
      } catch let error as HTTPTransportError {
        throw DocumentExchange.failure(error, of: document, limit: limit)
      }
    }
  }

  package func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(document: document, limit: limit, timeout: timeout, body: exchange.body.makeAsyncIterator())
  }

  static func failure(_ error: HTTPTransportError, of document: DocumentReference, limit: UInt64) -> any Error {
    guard error.code == .tooLarge else { return sourceError(error) }
    var refusal = VerificationError(
      .limitExceeded, "document '\(document.id)' is longer than the limit of \(limit) bytes",
      evidence: ["document \(document.id)"])
    refusal.document = document
    return refusal
  }
}
