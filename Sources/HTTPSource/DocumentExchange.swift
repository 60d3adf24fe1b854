import DesiredState
import HTTPTransport

/// A document on its way over HTTP, in pieces of bounded size and with errors in the contract's words.
package struct DocumentExchange: AsyncSequence, Sendable {
  /// libcurl hands over all that it holds at once, after decoding perhaps megabytes.
  private static let longestPiece = 256 << 10

  let document: DocumentReference
  let exchange: HTTPExchange
  let limit: UInt64

  package struct AsyncIterator: AsyncIteratorProtocol {
    let document: DocumentReference
    let limit: UInt64
    var body: HTTPResponseBody.Iterator
    var rest: ArraySlice<UInt8> = []

    package mutating func next() async throws -> [UInt8]? {
      if rest.isEmpty {
        let chunk: [UInt8]?
        do throws(HTTPTransportError) {
          chunk = try await body.next(isolation: nil)
        } catch {
          throw DocumentExchange.failure(error, of: document, limit: limit)
        }
        guard let chunk else { return nil }
        if chunk.count <= longestPiece { return chunk }
        rest = chunk[...]
      }
      defer { rest = rest.dropFirst(longestPiece) }
      return Array(rest.prefix(longestPiece))
    }
  }

  package func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(document: document, limit: limit, body: exchange.body.makeAsyncIterator())
  }

  static func failure(_ error: HTTPTransportError, of document: DocumentReference, limit: UInt64) -> any Error {
    guard error.code == .tooLarge else { return sourceError(error) }
    return VerificationError(
      .limitExceeded, "document '\(document.id)' is longer than the limit of \(limit) bytes",
      evidence: ["document \(document.id)"])
  }
}
