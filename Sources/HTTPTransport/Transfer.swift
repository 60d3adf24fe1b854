import Dispatch
import HTTPTypes

/// One exchange, as both sides see it: the engine's thread puts in what arrives, a task or a thread
/// takes it out.
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
  private let state = Guarded(Watched(State()))

  init(plan: RequestPlan, engine: Engine) {
    self.plan = plan
    self.engine = engine
  }

  private func change<Result: Sendable>(_ body: (inout State) -> Result) -> Result {
    let (result, waiters) = state.withLock { watched in
      let result = body(&watched.value)
      return (result, watched.changed())
    }
    for waiter in waiters { waiter.wake() }
    return result
  }

  // MARK: The engine's side

  func deliver(_ response: HTTPResponse, _ facts: ConnectionFacts) {
    change {
      $0.response = response
      $0.facts = facts
    }
  }

  /// False when the reader is too far behind: nothing was taken, and the transfer is to be paused.
  func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let waiters = state.withLock { watched -> [Waiter]? in
      guard watched.value.outcome == nil else { return [] }
      if watched.value.received.count >= Self.highWaterMark {
        watched.value.isReceivePaused = true
        return nil
      }
      watched.value.received.append(contentsOf: bytes)
      return watched.changed()
    }
    guard let waiters else { return false }
    for waiter in waiters { waiter.wake() }
    return true
  }

  /// The first outcome stays.
  func finish(_ outcome: Result<Void, HTTPTransportError>) {
    change { state in
      guard state.outcome == nil else { return }
      if case .failure(let error) = outcome, error.code == .cancelled { state.received = [] }
      state.outcome = outcome
    }
    plan.pipe?.close()
  }

  // MARK: The reader's side

  /// Ends the exchange at once for whoever waits for it; the engine lets go of it right after.
  func cancel() {
    let isNew = state.withLock { $0.value.outcome == nil }
    finish(.failure(.cancelled))
    if isNew { engine.post(.cancel(self)) }
  }

  /// Nobody wants the rest. The engine may read a little more to keep the connection usable.
  func abandon() {
    let isNew = change { state in
      state.received = []
      return state.outcome == nil
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
            let waits = state.withLock { $0.wait(.task(continuation), since: seen) }
            if !waits { continuation.resume() }
          }
        }
      }
    } onCancel: {
      cancel()
    }
  }

  private func block<Value: Sendable>(for take: @Sendable (inout State) -> Value?) -> Value {
    let semaphore = DispatchSemaphore(value: 0)
    while true {
      switch look(take) {
      case .ready(let value): return value
      case .notYet(let seen):
        if state.withLock({ $0.wait(.thread(semaphore), since: seen) }) { semaphore.wait() }
      }
    }
  }

  func head(
    isolation: isolated (any Actor)? = #isolation
  ) async throws(HTTPTransportError) -> (HTTPResponse, ConnectionFacts) {
    try await wait(for: Self.head).get()
  }

  func blockingHead() throws(HTTPTransportError) -> (HTTPResponse, ConnectionFacts) {
    try block(for: Self.head).get()
  }

  func chunk(isolation: isolated (any Actor)? = #isolation) async throws(HTTPTransportError) -> [UInt8]? {
    resume(after: try await wait(for: Self.chunk).get())
  }

  func blockingChunk() throws(HTTPTransportError) -> [UInt8]? {
    resume(after: try block(for: Self.chunk).get())
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
