package import DesiredState
import Synchronization

/// Fetches the small documents that will be read next while one is being read, so that a thousand of them cost a
/// handful of round trips.
///
/// ``announce(_:)`` says what will be read and in which order. Only documents that say they are small are fetched ahead:
/// they end in the transport's buffers and keep nobody else from sending. What they say is not relied on; a buffer that
/// is full holds the sender back.
package final class ReadAhead: Sendable {
  package typealias Begin = @Sendable (DocumentReference) async throws -> DocumentExchange

  /// As many as the servers in use let be under way on one connection (nginx: 128; RFC 9113 section 6.5.2: at least 100).
  private static let window = 128
  /// What they may come to, by their own account.
  private static let windowBytes: UInt64 = 4 << 20
  private static let smallSize: UInt64 = 64 << 10

  private struct State {
    var order: [DocumentReference] = []
    /// Where in `order` the window ends: what is before has been begun, or never will be.
    var next = 0
    var underWay: [Digest: Task<DocumentExchange, any Error>] = [:]
    var bytes: UInt64 = 0
    var window = ReadAhead.window
  }

  private let begin: Begin
  private let state = Mutex(State())

  package init(_ begin: @escaping Begin) { self.begin = begin }

  deinit {
    for task in state.withLock({ $0.underWay.values.map(\.self) }) { task.cancel() }
  }

  /// Says that these documents will be read next, in this order.
  package func announce(_ documents: [DocumentReference]) {
    let left = state.withLock { state in
      defer { state = State(order: documents, window: state.window) }
      return Array(state.underWay.values)
    }
    for task in left { task.cancel() }
  }

  /// A document, fetched ahead or now.
  ///
  /// - Throws: what beginning to fetch it throws.
  package func open(_ document: DocumentReference) async throws -> DocumentExchange {
    let (exchange, wasAhead) = state.withLock { state in
      let ahead = state.underWay.removeValue(forKey: document.digest)
      if ahead != nil { state.bytes -= Self.weight(document) }
      // Begun before those after it.
      let exchange = ahead ?? Task { [begin] in try await begin(document) }
      fill(&state, after: document)
      return (exchange, ahead != nil)
    }
    do {
      return try await withTaskCancellationHandler {
        try await exchange.value
      } onCancel: {
        exchange.cancel()
      }
    } catch {
      guard wasAhead, (error as? BackendError)?.isRetryable == true else { throw error }
      // Too much at once for this server or this line, perhaps: less from now on, and this one on its own.
      state.withLock { $0.window = max(1, $0.window / 4) }
      try Task.checkCancellation()
      return try await begin(document)
    }
  }

  /// Begins what fits into the window.
  private func fill(_ state: inout State, after document: DocumentReference) {
    while state.next < state.order.count, state.underWay.count < state.window {
      let candidate = state.order[state.next]
      let weight = Self.weight(candidate)
      if candidate.digest == document.digest || weight > Self.smallSize || state.underWay[candidate.digest] != nil {
        state.next += 1
        continue
      }
      guard state.bytes + weight <= Self.windowBytes else { return }
      state.next += 1
      state.bytes += weight
      state.underWay[candidate.digest] = Task { [begin] in try await begin(candidate) }
    }
  }

  /// What a document is taken to be: without a size, as large as a small one may be.
  private static func weight(_ document: DocumentReference) -> UInt64 { document.advisorySize ?? smallSize }
}
