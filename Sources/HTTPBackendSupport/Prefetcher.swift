package import DesiredState
import DesiredStateSupport

/// Fetches the small documents that will be read next while one is being read, so that a thousand of them cost a
/// handful of round trips.
///
/// ``announce(_:)`` says what will be read and in which order. Only documents that say they are small are fetched ahead,
/// into memory. What they say is not relied on: of one that is longer no more is taken than it said, and it is fetched
/// again, in pieces, when its turn comes.
package final class Prefetcher: Sendable {
  /// Begins to fetch a document, of which no more than so many bytes are to come.
  package typealias Begin = @Sendable (DocumentReference, UInt64) async throws -> DocumentExchange

  /// With the one that is being read, as many as the servers in use let be under way on one connection (nginx: 128;
  /// RFC 9113 section 6.5.2: at least 100).
  private static let largestWindow = 127
  /// As many as are asked for at once before a server has answered any: one that allows only a few refuses the others.
  private static let firstWindow = 32
  /// What they may come to, by their own account. No more, or on a slow line the one that is waited for would be so long
  /// in coming, among all the others, that it would be given up.
  private static let windowBytes: UInt64 = 256 << 10
  private static let smallSize: UInt64 = 64 << 10

  /// A document on its way, and what it counts for in the window: others may say other sizes of the same one.
  private struct Ahead: Sendable {
    let weight: UInt64
    let task: Task<[UInt8]?, any Error>
  }

  private struct State {
    var order: [DocumentReference] = []
    /// Where in `order` the window ends: every document before has been begun, or never will be.
    var next = 0
    var underWay: [Digest: Ahead] = [:]
    var bytes: UInt64 = 0
    var window = Prefetcher.firstWindow
    /// Whether the server has refused anything: then more are tried one by one.
    var isCautious = false
    var successes = 0
  }

  private let timeout: Duration
  private let begin: Begin
  private let pacer: RequestPacer
  private let state = LockedValue(State())

  /// - Parameters:
  ///   - timeout: how long the reader is to wait for a document to begin, and then for each piece of it.
  ///   - pacer: whether the server has asked for fewer requests.
  ///   - begin: begins to fetch a document.
  package init(timeout: Duration, pacer: RequestPacer = RequestPacer(), _ begin: @escaping Begin) {
    self.timeout = timeout
    self.pacer = pacer
    self.begin = begin
  }

  deinit {
    for ahead in state.withLock({ $0.underWay.values }) { ahead.task.cancel() }
  }

  /// Says that these documents will be read next, in this order.
  package func announce(_ documents: [DocumentReference]) {
    pacer.startOver()
    let left = state.withLock { state in
      defer { state = State(order: documents, window: state.window, isCautious: state.isCautious) }
      return state.underWay.values
    }
    for ahead in left { ahead.task.cancel() }
  }

  /// A document, fetched ahead or now.
  ///
  /// - Throws: what beginning to fetch it throws; ``BackendError`` with `timeout`; `CancellationError`.
  package func open(_ document: DocumentReference) async throws -> any AsyncSequence<[UInt8], any Error> {
    let ahead = state.withLock { state in
      // If it is the first of those announced, it is begun here, before those after it.
      fill(&state)
      let ahead = state.underWay.removeValue(forKey: document.digest)
      state.bytes -= ahead?.weight ?? 0
      fill(&state)
      return ahead?.task
    }
    if let ahead {
      do {
        let bytes = try await withTaskCancellationHandler {
          try await waiting { try await ahead.value }
        } onCancel: {
          ahead.cancel()
        }
        if let bytes {
          state.withLock { state in
            state.successes += 1
            guard !state.isCautious || state.successes.isMultiple(of: state.window) else { return }
            state.window = min(Self.largestWindow, state.window + 1)
          }
          return DocumentBytes(bytes)
        }
      } catch {
        ahead.cancel()
        guard let failure = error as? BackendError, failure.isRetryable, failure.code != .timeout,
          !pacer.hasGivenUp
        else { throw error }
        // Too much at once for this server or this line, perhaps: less from now on, and this one on its own.
        state.withLock { state in
          state.window = max(1, state.window / 4)
          state.isCautious = true
        }
      }
      try Task.checkCancellation()
    }
    var exchange = try await begin(document, .max)
    exchange.timeout = timeout
    return exchange
  }

  /// Waits for a document that is on its way. As long as the server's requests are held back, it has not stalled.
  private func waiting(_ work: @escaping @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    while true {
      do {
        return try await withTimeout(timeout, work)
      } catch let error as BackendError where error.code == .timeout && pacer.isHeldBack {
        try Task.checkCancellation()
        state.withLock { $0.isCautious = true }
      }
    }
  }

  /// Begins what fits into the window.
  private func fill(_ state: inout State) {
    if pacer.isHeldBack, !state.isCautious {
      state.isCautious = true
      state.window = max(1, state.window / 2)
    }
    while state.next < state.order.count, state.underWay.count < state.window {
      let candidate = state.order[state.next]
      let weight = Self.weight(candidate)
      if weight > Self.smallSize || state.underWay[candidate.digest] != nil {
        state.next += 1
        continue
      }
      guard state.bytes + weight <= Self.windowBytes else { return }
      state.next += 1
      state.bytes += weight
      let task = Task { [begin] () -> [UInt8]? in
        var bytes: [UInt8] = []
        do {
          // A little more, for what compressing a short document adds. Without a bound, what a bomb expands to would be
          // held for every document of the window.
          for try await piece in try await begin(candidate, weight + 1024) {
            bytes += piece
            if bytes.count > weight { return nil }
          }
        } catch let error as VerificationError where error.code == .limitExceeded {
          return nil
        }
        return bytes
      }
      state.underWay[candidate.digest] = Ahead(weight: weight, task: task)
    }
  }

  /// The assumed size of a document: without a size, as large as a small one may be.
  private static func weight(_ document: DocumentReference) -> UInt64 { document.advisorySize ?? smallSize }
}
