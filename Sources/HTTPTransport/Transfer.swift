import DesiredStateSupport
import HTTPTypes

/// One exchange, as both sides see it: the engine's thread puts in what arrives, a task takes it out.
final class Transfer: Sendable {
  struct State: Sendable {
    var response: HTTPResponse?
    var facts = ConnectionFacts()
    /// Received and not yet taken. Taken whole, so that readers far behind get large chunks.
    var received: [UInt8] = []
    var isReceivePaused = false
    var outcome: Result<Void, HTTPTransportError>?
  }

  /// Enough to keep a fast connection busy, little enough to forget.
  static let highWaterMark = 256 << 10

  let plan: RequestPlan
  private let engine: Engine
  private let state = LockedValue(Watched(State()))

  init(plan: RequestPlan, engine: Engine) {
    self.plan = plan
    self.engine = engine
  }

  /// Changes the state; whoever waits for that is returned, to be woken after.
  private func change(_ body: (inout State) -> Void) -> [CheckedContinuation<Void, Never>] {
    state.withLock { watched in
      body(&watched.value)
      return watched.changed()
    }
  }

  // MARK: The engine's side

  // The engine wakes the waiters when libcurl has done all it can for now: what comes together, such as
  // a header and the end of an empty body, then wakes its reader once.

  /// - Parameter hasContent: whether a body may follow. If not, the end does, at once: its reader is not woken twice for
  ///   one answer, which is half the price of a poll that finds nothing new.
  func deliver(
    _ response: HTTPResponse, _ facts: ConnectionFacts, hasContent: Bool
  ) -> [CheckedContinuation<Void, Never>] {
    state.withLock { watched in
      watched.value.response = response
      watched.value.facts = facts
      return hasContent ? watched.changed() : []
    }
  }

  /// Nil when the reader is too far behind: nothing was taken, and the transfer is to be paused.
  func append(_ bytes: UnsafeRawBufferPointer, whateverIsHeld takesAll: Bool) -> [CheckedContinuation<Void, Never>]? {
    state.withLock { watched -> [CheckedContinuation<Void, Never>]? in
      guard watched.value.outcome == nil else { return [] }
      if watched.value.received.count >= Self.highWaterMark, !takesAll {
        watched.value.isReceivePaused = true
        return nil
      }
      watched.value.received.append(contentsOf: bytes)
      return watched.changed()
    }
  }

  /// The first outcome stays.
  func finish(_ outcome: Result<Void, HTTPTransportError>) -> [CheckedContinuation<Void, Never>] {
    change { state in
      guard state.outcome == nil else { return }
      if case .failure(let error) = outcome, error.code == .cancelled { state.received = [] }
      state.outcome = outcome
    }
  }

  // MARK: The reader's side

  /// Ends the exchange at once for whoever waits for it; the engine lets go of it right after.
  func cancel() {
    let isNew = state.withLock { $0.value.outcome == nil }
    for waiter in finish(.failure(.cancelled)) { waiter.resume() }
    if isNew { engine.post(.cancel(self)) }
  }

  /// Nobody wants the rest. The engine may read a little more to keep the connection usable.
  func abandon() {
    let isNew = state.withLock { watched in
      watched.value.received = []
      return watched.value.outcome == nil
    }
    if isNew { engine.post(.abandon(self)) }
  }

  private enum Look<Value: Sendable>: Sendable {
    case ready(Value)
    case notYet(UInt64)
  }

  /// What the header says, as soon as there is one.
  private static func head(_ state: inout State) -> Result<(HTTPResponse, ConnectionFacts), HTTPTransportError>? {
    if let response = state.response { return .success((response, state.facts)) }
    switch state.outcome {
    case .failure(let error): return .failure(error)
    case .success:
      return .failure(
        HTTPTransportError(code: .protocolViolation, message: "The server's answer had no header.", isRetryable: true))
    case nil: return nil
    }
  }

  /// The next piece of the body, nil at its end.
  private static func chunk(_ state: inout State) -> Result<Piece?, HTTPTransportError>? {
    if !state.received.isEmpty {
      defer {
        state.received = []
        state.isReceivePaused = false
      }
      return .success(Piece(bytes: state.received, wasPaused: state.isReceivePaused))
    }
    switch state.outcome {
    case .success: return .success(nil)
    case .failure(let error): return .failure(error)
    case nil: return nil
    }
  }

  private struct Piece: Sendable {
    var bytes: [UInt8]
    var wasPaused: Bool
  }

  private func look<Value: Sendable>(_ take: @Sendable (inout State) -> Value?) -> Look<Value> {
    state.withLock { watched in
      if let value = take(&watched.value) { return .ready(value) }
      return .notYet(watched.seen)
    }
  }

  private func wait<Value: Sendable>(
    isolation: isolated (any Actor)? = #isolation, for take: @Sendable (inout State) -> Value?
  ) async -> Value {
    await withTaskCancellationHandler {
      while true {
        switch look(take) {
        case .ready(let value): return value
        case .notYet(let seen):
          await withCheckedContinuation { continuation in
            let waits = state.withLock { $0.wait(continuation, since: seen) }
            if !waits { continuation.resume() }
          }
        }
      }
    } onCancel: {
      cancel()
    }
  }

  func head(
    isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> (HTTPResponse, ConnectionFacts) {
    try await wait(for: Self.head).get()
  }

  func chunk(isolation: isolated (any Actor)? = #isolation) async throws(HTTPTransportError) -> [UInt8]? {
    resume(after: try await wait(for: Self.chunk).get())
  }

  private func resume(after piece: Piece?) -> [UInt8]? {
    if let piece, piece.wasPaused { engine.post(.resumeReceiving(self)) }
    return piece?.bytes
  }
}

/// What is known of the connection that an exchange went over.
struct ConnectionFacts: Sendable {
  /// The server asked for a client certificate, and none is configured.
  var lacksClientCertificate = false
}
