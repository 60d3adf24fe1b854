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
    /// The requests that wait, by number, in their order.
    var waiting: [Int] = []
    var lastNumber = 0

    mutating func turn(of number: Int, _ now: ContinuousClock.Instant) -> Turn {
      let start = max(now, nextStart ?? now, pausedUntil ?? now)
      let place = waiting.firstIndex(of: number) ?? 0
      guard start <= now, place == 0 || spacing == .zero else {
        return .waits(until: min(start + spacing * place, now + RequestPacer.longestNap))
      }
      waiting.removeAll { $0 == number }
      if spacing > .zero { nextStart = now + spacing }
      return .begins(Ticket(pauses: pauses))
    }
  }

  private enum Turn {
    case begins(Ticket)
    /// To be asked again then.
    case waits(until: ContinuousClock.Instant)
  }

  /// A request that may begin now.
  struct Ticket: Sendable {
    fileprivate let pauses: Int
  }

  /// After so long one that waits looks whether the pace is another one.
  private static let longestNap = Duration.milliseconds(250)
  private static let firstSpacing = Duration.milliseconds(20)
  private static let longestSpacing = Duration.seconds(2)
  /// Pauses without a success between them, after which the server is not asked any more for now.
  private static let mostPausesInARow = 5

  private let state = LockedValue(State())

  package init() {}

  /// Nothing more is asked in this poll.
  var hasGivenUp: Bool { state.withLock { $0.pausesInARow >= Self.mostPausesInARow } }

  /// A new poll has the patience of the first.
  func startOver() { state.withLock { $0.pausesInARow = 0 } }

  /// Whether requests have been refused lately.
  var isHeldBack: Bool { state.withLock { $0.spacing > .zero } }

  /// Waits until a request may begin. Those that wait begin in the order in which they came.
  ///
  /// When each of them begins is decided when its turn comes, not before: the pace may be another one by then.
  func begin() async throws -> Ticket {
    let number = state.withLock { state in
      state.lastNumber += 1
      state.waiting.append(state.lastNumber)
      return state.lastNumber
    }
    do {
      while true {
        let turn = state.withLock { state in state.turn(of: number, .now) }
        switch turn {
        case .begins(let ticket): return ticket
        case .waits(let instant): try await Task.sleep(until: instant, clock: .continuous)
        }
      }
    } catch {
      state.withLock { state in state.waiting.removeAll { $0 == number } }
      throw error
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
