import Dispatch

/// What a request carries.
public struct HTTPRequestBody: Sendable {
  enum Content: Sendable {
    case none
    case bytes([UInt8])
    case pipe(HTTPRequestBodyPipe)
    case stream(length: Int64?, @Sendable (HTTPRequestBodyPipe) async throws -> Void)
  }

  let content: Content

  /// No body.
  public static let none = HTTPRequestBody(content: .none)

  /// A body held in memory. It can be sent again when a kept connection turns out to be closed.
  public static func bytes(_ bytes: [UInt8]) -> HTTPRequestBody {
    HTTPRequestBody(content: .bytes(bytes))
  }

  /// A body read from a sequence while it is sent, no faster than it can be.
  ///
  /// It cannot be sent again: if the connection breaks before an answer, the error says so.
  /// - Parameter length: Its size in bytes, if known. Sending more or less fails the exchange.
  public static func stream<Chunks: AsyncSequence & Sendable>(
    length: Int64? = nil, _ chunks: Chunks
  ) -> HTTPRequestBody where Chunks.Element == [UInt8] {
    HTTPRequestBody(
      content: .stream(length: length) { pipe in
        for try await chunk in chunks { try await pipe.write(chunk) }
      })
  }

  /// A body that is written by hand while the request is under way. A pipe serves one request.
  public static func pipe(_ pipe: HTTPRequestBodyPipe) -> HTTPRequestBody {
    HTTPRequestBody(content: .pipe(pipe))
  }
}

/// The writing end of a streamed request body, for tasks and for threads.
///
/// Holds at most about 256 KiB; writers wait when the connection is slower than they are.
public final class HTTPRequestBodyPipe: Sendable {
  private struct State: Sendable {
    var waiting: [UInt8] = []
    var offset = 0
    var accepted: Int64 = 0
    var isFinished = false
    var failure: HTTPTransportError?
    /// The exchange has ended: what is still written goes nowhere.
    var isClosed = false
    var isReaderPaused = false
    var resumeReader: (@Sendable () -> Void)?
  }

  enum Reading {
    case bytes(Int)
    case notYet
    case end
    case failed(HTTPTransportError)
  }

  /// The announced size of the body, in bytes.
  public let length: Int64?
  private let state = LockedValue(Watched(State()))

  public init(length: Int64? = nil) {
    self.length = length
  }

  /// Adds bytes, waiting while the pipe is full.
  ///
  /// Throws ``HTTPTransportError`` when the exchange has ended: its own error says why.
  public func write(_ bytes: [UInt8]) async throws(HTTPTransportError) {
    let outcome: Result<Void, HTTPTransportError> = await withTaskCancellationHandler {
      while true {
        switch offer(bytes) {
        case .success(nil): return .success(())
        case .failure(let error): return .failure(error)
        case .success(let seen?):
          if Task.isCancelled { return .failure(.cancelled) }
          await withCheckedContinuation { continuation in
            let waits = state.withLock { $0.wait(.task(continuation), since: seen) }
            if !waits { continuation.resume() }
          }
        }
      }
    } onCancel: {
      change { _ in }
    }
    try outcome.get()
  }

  /// As ``write(_:)``, for a thread that may block. Never call it from a task.
  public func writeBlocking(_ bytes: [UInt8]) throws(HTTPTransportError) {
    let semaphore = DispatchSemaphore(value: 0)
    while let seen = try offer(bytes).get() {
      if state.withLock({ $0.wait(.thread(semaphore), since: seen) }) { semaphore.wait() }
    }
  }

  /// No more bytes will come.
  public func finish() {
    change { state in
      if let length, state.accepted < length, state.failure == nil {
        state.failure = .invalidRequest("The body ended after \(state.accepted) of its \(length) bytes.")
      }
      state.isFinished = true
    }
  }

  /// The body cannot be completed: the exchange fails with this error.
  public func fail(_ error: HTTPTransportError) {
    change { state in
      if !state.isFinished, state.failure == nil { state.failure = error }
    }
  }

  /// Nil when the bytes were taken, else the version to wait on.
  private func offer(_ bytes: [UInt8]) -> Result<UInt64?, HTTPTransportError> {
    let (result, wakes): (Result<UInt64?, HTTPTransportError>, Bool) = state.withLock { watched in
      if let failure = watched.value.failure { return (.failure(failure), false) }
      guard !watched.value.isClosed, !watched.value.isFinished else {
        return (
          .failure(
            HTTPTransportError(
              code: .cancelled, message: "The exchange has ended; its request body is no longer wanted.")), false
        )
      }
      let held = watched.value.waiting.count - watched.value.offset
      guard held < Transfer.highWaterMark else { return (.success(watched.seen), false) }
      watched.value.accepted += Int64(bytes.count)
      if let length, watched.value.accepted > length {
        let failure = HTTPTransportError.invalidRequest("The body is longer than the \(length) bytes announced.")
        watched.value.failure = failure
        return (.failure(failure), true)
      }
      watched.value.waiting.append(contentsOf: bytes)
      return (.success(nil), true)
    }
    if wakes { change { _ in } }
    return result
  }

  /// Changes the state, wakes the writers that wait and a reader that paused.
  private func change(_ body: (inout State) -> Void) {
    let (waiters, resume) = state.withLock { watched -> ([Waiter], (@Sendable () -> Void)?) in
      body(&watched.value)
      defer { watched.value.isReaderPaused = false }
      return (watched.changed(), watched.value.isReaderPaused ? watched.value.resumeReader : nil)
    }
    for waiter in waiters { waiter.wake() }
    resume?()
  }

  // MARK: The engine's side

  /// Called on the engine's thread. `resume` is called when bytes come after ``Reading/notYet``.
  func attach(resume: @escaping @Sendable () -> Void) {
    state.withLock { $0.value.resumeReader = resume }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Reading {
    let (reading, waiters): (Reading, [Waiter]) = state.withLock { watched in
      let held = watched.value.waiting.count - watched.value.offset
      if let failure = watched.value.failure { return (.failed(failure), []) }
      if held == 0 {
        if watched.value.isFinished { return (.end, []) }
        watched.value.isReaderPaused = true
        return (.notYet, [])
      }
      let count = min(held, buffer.count)
      watched.value.waiting.withUnsafeBytes {
        buffer.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: $0[watched.value.offset..<watched.value.offset + count]))
      }
      watched.value.offset += count
      if watched.value.offset == watched.value.waiting.count {
        watched.value.waiting.removeAll(keepingCapacity: true)
        watched.value.offset = 0
      }
      return (.bytes(count), watched.changed())
    }
    for waiter in waiters { waiter.wake() }
    return reading
  }

  /// The exchange has ended.
  func close() {
    change {
      $0.isClosed = true
      $0.waiting = []
      $0.offset = 0
      $0.resumeReader = nil
    }
  }
}
