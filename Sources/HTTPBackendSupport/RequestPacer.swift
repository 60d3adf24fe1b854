import DesiredStateSupport

/// Holds requests to the rate that a server allows, which only its refusals tell.
///
/// As long as nothing is refused, nothing waits. A refusal (429, 503) pauses all requests, by `Retry-After` or for half a second
/// and then longer, and spaces those that follow; each success brings them a little closer together again. Requests that
/// were under way when the pause began are refused for the same reason, and count as one refusal.
package final class RequestPacer: Sendable {
  private struct State: Sendable {
    /// Between the beginnings of two requests.
    var spacing = Duration.zero
    var nextStart: ContinuousClock.Instant?
    var pausedUntil: ContinuousClock.Instant?
    /// How many pauses there were.
    var pauses = 0
    /// How many of them since the last success.
    var pausesInARow = 0
  }

  /// A request that may begin now.
  struct Ticket: Sendable {
    fileprivate let pauses: Int
  }

  private static let firstSpacing = Duration.milliseconds(20)
  private static let longestSpacing = Duration.seconds(2)
  /// Pauses without a success between them, after which the server is not asked any more for now.
  private static let mostPausesInARow = 5

  private let state = LockedValue(State())

  package init() {}

  /// Nothing more is asked in this look.
  var hasGivenUp: Bool { state.withLock { $0.pausesInARow >= Self.mostPausesInARow } }

  /// A new look has the patience of the first.
  func startOver() { state.withLock { $0.pausesInARow = 0 } }

  /// Whether requests have been refused lately.
  var isHeldBack: Bool { state.withLock { $0.spacing > .zero } }

  /// Waits until a request may begin. Those that wait begin in the order in which they came.
  func begin() async throws -> Ticket {
    while true {
      let now = ContinuousClock.now
      let start = state.withLock { state -> ContinuousClock.Instant in
        let start = max(now, state.nextStart ?? now, state.pausedUntil ?? now)
        if state.spacing > .zero { state.nextStart = start + state.spacing }
        return start
      }
      if start > now { try await Task.sleep(until: start, clock: .continuous) }
      // A pause may have begun meanwhile.
      let ticket = state.withLock { state -> Ticket? in
        if let paused = state.pausedUntil, paused > .now { return nil }
        return Ticket(pauses: state.pauses)
      }
      if let ticket { return ticket }
    }
  }

  func succeeded() {
    state.withLock { state in
      state.pausesInARow = 0
      guard state.spacing > .zero else { return }
      state.spacing = state.spacing * 0.99
      if state.spacing < .milliseconds(1) { state.spacing = .zero }
    }
  }

  /// The server refused a request for being one too many.
  ///
  /// - Parameter longest: how long a pause may be for it to be waited for.
  /// - Returns: whether to begin again; false if the server asks for more patience than there is.
  func refused(_ ticket: Ticket, retryAfter: Duration?, longest: Duration) -> Bool {
    state.withLock { state in
      if let retryAfter, retryAfter > longest { state.pausesInARow = Self.mostPausesInARow }
      guard state.pausesInARow < Self.mostPausesInARow else { return false }
      guard ticket.pauses == state.pauses else { return true }
      let pause = retryAfter ?? min(.milliseconds(500 << state.pausesInARow), longest)
      // Near the right pace, as answers between two refusals show, a little slower is enough.
      let isNear = state.pausesInARow == 0 && state.pauses > 0
      state.pauses += 1
      state.pausesInARow += 1
      state.spacing = min(max(isNear ? state.spacing * 1.3 : state.spacing * 2, Self.firstSpacing), Self.longestSpacing)
      state.pausedUntil = .now + pause
      state.nextStart = .now + pause
      return true
    }
  }
}
