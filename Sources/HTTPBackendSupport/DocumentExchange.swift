import DesiredState
import DesiredStateSupport
import HTTPTransport
import HTTPTypes

/// A document on its way over HTTP, in pieces of bounded size and with errors in the contract's words.
///
/// If the connection breaks, it is continued where it stopped, as long as it gets ahead.
package struct DocumentExchange: AsyncSequence, Sendable {
  /// Bytes of a piece.
  private static let longestPiece = 256 << 10
  /// How often in a row an exchange may break without a byte of it having come.
  private static let mostFailures = 3
  /// How often all of a document is sent again by a server that cannot send a part.
  private static let mostRestarts = 2

  /// Begins the document anew, from an offset.
  package typealias Continue = @Sendable (_ offset: UInt64, _ validator: String?) async throws -> DocumentExchange

  let document: DocumentReference
  /// Nil: there is nothing left of it.
  let exchange: HTTPExchange?
  let limit: UInt64
  /// Bytes at the beginning that are there already.
  var skipped: UInt64
  /// How long a piece may be waited for; nil: as long as the transport's stall limit allows.
  var timeout: Duration?
  /// Nil: it cannot be continued.
  var continuing: Continue?

  package struct AsyncIterator: AsyncIteratorProtocol {
    let document: DocumentReference
    let limit: UInt64
    let timeout: Duration?
    let continuing: Continue?
    var body: HTTPResponseBody.Iterator?
    var validator: String?
    var rest: ArraySlice<UInt8> = []
    /// Bytes that are to be passed over, because they were handed out before.
    var skipping: UInt64
    /// Where in the document the next piece begins.
    var offset: UInt64
    var failures = 0
    var restarts = 0

    package mutating func next() async throws -> [UInt8]? {
      while rest.isEmpty {
        guard var chunk = try await chunk() else { return nil }
        if skipping > 0 {
          let passed = Swift.min(skipping, UInt64(chunk.count))
          skipping -= passed
          chunk.removeFirst(Int(passed))
        }
        rest = chunk[...]
      }
      let piece = rest.prefix(DocumentExchange.longestPiece)
      rest = rest.dropFirst(piece.count)
      offset += UInt64(piece.count)
      return Array(piece)
    }

    /// What comes next, on this exchange or on another that continues it.
    private mutating func chunk() async throws -> [UInt8]? {
      while true {
        do {
          guard let body else { return nil }
          let chunk = try await Self.read(body, within: timeout)
          failures = 0
          return chunk
        } catch let error as HTTPTransportError {
          try await resume(after: error)
        }
      }
    }

    private static func read(
      _ body: HTTPResponseBody.Iterator, within timeout: Duration?
    ) async throws -> [UInt8]? {
      guard let timeout else {
        var body = body
        return try await body.next(isolation: nil)
      }
      return try await withTimeout(timeout) {
        var body = body
        return try await body.next(isolation: nil)
      }
    }

    private mutating func resume(after error: HTTPTransportError) async throws {
      let failure = DocumentExchange.failure(error, of: document, limit: limit)
      guard let continuing, error.isRetryable, error.code != .cancelled else { throw failure }
      while true {
        failures += 1
        guard failures <= DocumentExchange.mostFailures else { throw failure }
        do {
          let next = try await continuing(offset, validator)
          if next.skipped > 0 {
            restarts += 1
            guard restarts <= DocumentExchange.mostRestarts else { throw failure }
          }
          body = next.exchange?.body.makeAsyncIterator()
          skipping = next.skipped
          if let tag = next.strongTag { validator = tag }
          return
        } catch let error as BackendError where error.isRetryable && error.code == .unreachable {
          // The line may be back in a moment.
          try await Task.sleep(for: .milliseconds(250 << failures))
        }
      }
    }
  }

  /// RFC 9110 section 8.8.3: a weak tag does not tell whether the bytes are the same.
  private var strongTag: String? {
    exchange?.response.headerFields[.eTag].flatMap { $0.hasPrefix("\"") && $0.utf8.count <= 1024 ? $0 : nil }
  }

  package func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(
      document: document, limit: limit, timeout: timeout, continuing: continuing,
      body: exchange?.body.makeAsyncIterator(), validator: strongTag, skipping: skipped, offset: start)
  }

  /// Where in the document its first piece begins.
  var start: UInt64 = 0

  init(document: DocumentReference, exchange: HTTPExchange?, limit: UInt64, skipped: UInt64) {
    self.document = document
    self.exchange = exchange
    self.limit = limit
    self.skipped = skipped
  }

  static func failure(_ error: HTTPTransportError, of document: DocumentReference, limit: UInt64) -> any Error {
    guard error.code == .tooLarge else { return sourceError(error) }
    var refusal = VerificationError(
      .limitExceeded, "document \(quoted(document.id)) is longer than the limit of \(limit) bytes",
      evidence: ["document \(document.id)"])
    refusal.document = document
    return refusal
  }
}
