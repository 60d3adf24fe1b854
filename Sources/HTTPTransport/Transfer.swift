import DesiredStateSupport
import HTTPTypes

/// One exchange, as both sides see it: the engine's thread puts in what arrives, a task takes it out.
final class Transfer: Sendable {
  struct State: Sendable {
    var header: ReceivedHeader?
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
  private let decoding = LockedValue(Decoding())

  /// How the reader decodes what came.
  private struct Decoding: Sendable {
    var isChosen = false
    var decoder: ContentDecoder?
    var count: Int64 = 0
  }

  init(plan: RequestPlan, engine: Engine) {
    self.plan = plan
    self.engine = engine
  }

  /// Changes the state; the waiting continuation is returned, to be woken after.
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
    _ header: ReceivedHeader, _ facts: ConnectionFacts, hasContent: Bool
  ) -> [CheckedContinuation<Void, Never>] {
    state.withLock { watched in
      watched.value.header = header
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

  /// Ends the exchange at once for its caller; the engine lets go of it right after.
  func cancel() {
    let isNew = state.withLock { $0.value.outcome == nil }
    for waiter in finish(.failure(.cancelled)) { waiter.resume() }
    if isNew { engine.post(.cancel(self)) }
  }

  /// The rest is not wanted. The engine may read a little more to keep the connection usable.
  func abandon() {
    let isNew = state.withLock { watched in
      watched.value.received = []
      return watched.value.outcome == nil
    }
    if isNew { engine.post(.abandon(self)) }
  }

  private enum Readiness<Value: Sendable>: Sendable {
    case ready(Value)
    case notYet(UInt64)
  }

  /// What the header says, as soon as there is one.
  private static func head(_ state: inout State) -> Result<(ReceivedHeader, ConnectionFacts), HTTPTransportError>? {
    if let header = state.header { return .success((header, state.facts)) }
    switch state.outcome {
    case .failure(let error): return .failure(error)
    case .success:
      return .failure(
        HTTPTransportError(code: .protocolViolation, message: "The server's answer had no header.", isRetryable: true))
    case nil: return nil
    }
  }

  /// The next piece of the body as it came, nil at its end.
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

  private func readiness<Value: Sendable>(of take: @Sendable (inout State) -> Value?) -> Readiness<Value> {
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
        switch readiness(of: take) {
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
  ) async throws(HTTPTransportError) -> (ReceivedHeader, ConnectionFacts) {
    try await wait(for: Self.head).get()
  }

  /// The next piece of the body, decoded; nil at its end.
  func chunk(isolation: isolated (any Actor)? = #isolation) async throws(HTTPTransportError) -> [UInt8]? {
    while true {
      if let decoded = try decoding.withLock({ (state) throws(HTTPTransportError) in try next(&state) }) {
        return try counted(decoded)
      }
      let piece = try await wait(for: Self.chunk).get()
      if let piece, piece.wasPaused { engine.post(.resumeReceiving(self)) }
      guard let decoder = decoding.withLock({ $0.decoder }) else {
        guard let piece else { return nil }
        return try counted(piece.bytes)
      }
      if let piece {
        decoder.feed(piece.bytes)
      } else {
        guard let rest = try decode({ () throws(ContentDecoder.Failure) in try decoder.rest() }) else { return nil }
        return try counted(rest)
      }
    }
  }

  private func next(_ state: inout Decoding) throws(HTTPTransportError) -> [UInt8]? {
    if !state.isChosen, let header = self.state.withLock({ $0.value.header }) {
      state.isChosen = true
      let coding = header.response.headerFields[.contentEncoding]?.lowercased() ?? "identity"
      if engine.configuration.decodesContent, !["identity", ""].contains(coding) {
        guard coding == "gzip" || coding == "x-gzip" else {
          throw HTTPTransportError(
            code: .protocolViolation,
            message:
              "\(plan.address) came in a content coding that was not asked for. See to the server's configuration.")
        }
        state.decoder = ContentDecoder()
      }
    }
    guard let decoder = state.decoder else { return nil }
    return try decode { () throws(ContentDecoder.Failure) in try decoder.next() }
  }

  private func decode(
    _ step: () throws(ContentDecoder.Failure) -> [UInt8]?
  ) throws(HTTPTransportError) -> [UInt8]? {
    do throws(ContentDecoder.Failure) {
      return try step()
    } catch {
      cancel()
      throw error == .truncated
        ? HTTPTransportError(
          code: .truncated, message: "The compressed body of \(plan.address) is not whole. Try again.",
          isRetryable: true)
        : HTTPTransportError(
          code: .protocolViolation, message: "The body of \(plan.address) is not in the coding it claims.",
          isRetryable: true)
    }
  }

  /// Holds the decoded bytes to the limit.
  private func counted(_ bytes: [UInt8]) throws(HTTPTransportError) -> [UInt8] {
    let count = decoding.withLock { state in
      state.count += Int64(bytes.count)
      return state.count
    }
    guard count <= plan.limits.decodedBytes else {
      cancel()
      throw beyondLimit(plan.limits.decodedBytes, decoded: count)
    }
    return bytes
  }

  /// The error for a body over a limit. One that expands beyond reason is the server's doing: the publication need not be
  /// large.
  func beyondLimit(_ limit: Int64, decoded: Int64) -> HTTPTransportError {
    guard !isExpanding(decoded) else { return .expanding(plan) }
    return .tooLarge("The body of", plan, "is larger than \(limit) bytes")
  }

  /// A text without any credential that went along with the request.
  func struck(_ text: String) -> String {
    var more: [String] = []
    if let own = plan.headerFields[.authorization] { more += [own, String(own.split(separator: " ").last ?? "")] }
    let query = plan.address.target.drop { $0 != "?" }.dropFirst()
    more.append(String(query))
    for item in query.split(separator: "&") {
      let value = item.drop { $0 != "=" }.dropFirst()
      guard value.utf8.count >= 8 else { continue }
      more.append(String(value))
      if let decoded = PercentEncoding.decode(value.utf8) { more.append(decoded) }
    }
    return engine.secrets.struck(from: text, alongWith: more)
  }

  /// Whether so much, decoded, is more than 100 times its encoded form, and worth a thought.
  func isExpanding(_ decoded: Int64) -> Bool {
    decoded > 1 << 20 && decoding.withLock { state in state.decoder.map { decoded / 100 > $0.consumed } ?? false }
  }
}

/// The facts about the connection that an exchange went over.
struct ConnectionFacts: Sendable {
  /// What became of the server's question for a client certificate.
  enum ClientCertificate: Sendable { case notAsked, lacking, shown }

  var clientCertificate = ClientCertificate.notAsked
  /// Until when the certificate that was shown is valid, in seconds since 1970.
  var certificateBegin: Int?
  var certificateExpiry: Int?
}
