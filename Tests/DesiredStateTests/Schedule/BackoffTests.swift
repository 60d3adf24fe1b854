import DesiredStateSupport
import Testing

@testable import DesiredState

@Suite("Waiting after failures")
struct BackoffTests {
  @Test("Each failure doubles the wait up to the limit, and chance takes at most half of it") func doubling() {
    let backoff = Backoff(first: .seconds(30), longest: .seconds(300))
    let longest = (0...12).map { backoff.wait(afterFailures: $0, random: 1) }
    #expect(
      longest[0...6] == [.zero, .seconds(30), .seconds(60), .seconds(120), .seconds(240), .seconds(300), .seconds(300)])
    #expect(backoff.wait(afterFailures: 3, random: 0) == .seconds(60))
    #expect(backoff.wait(afterFailures: .max, random: 1) == .seconds(300))
    #expect(Backoff(first: .zero, longest: .zero).wait(afterFailures: 1, random: 1) > .zero)
  }

  @Test("An error says what it needs") func remedies() {
    #expect(BackendError(.unreachable, "").remedy == .waiting)
    #expect(BackendError(.serverError, "", retryAfter: .seconds(7)).remedy == .waitingFor(.seconds(7)))
    for code in [BackendError.Code.unauthorized, .forbidden, .tlsUntrusted] {
      #expect(BackendError(code, "").remedy == .person)
    }
    #expect(BackendError(.forbidden, "", isRetryable: true).remedy == .waiting)
    #expect(VerificationError(.versionRollback, "").remedy == .nothing)
    #expect(VerificationError(.documentMissing, "").remedy == .waiting)
  }

  @Test("What needs a person is tried seldom, and what may pass by itself soon") func patience() {
    let schedule = Schedule(interval: .seconds(30))
    #expect(schedule.backoff(for: .waiting).wait(afterFailures: 1, random: 1) == .seconds(30))
    #expect(schedule.backoff(for: .person).wait(afterFailures: 1, random: 1) == .seconds(240))
    #expect(schedule.backoff(for: .person).wait(afterFailures: 9, random: 1) == .seconds(3600))
    let slow = Schedule(interval: .seconds(86_400))
    #expect(slow.backoff(for: .person).wait(afterFailures: 9, random: 1) == .seconds(86_400))
    #expect(slow.backoff(for: .waiting).wait(afterFailures: 9, random: 1) == .seconds(86_400))
  }
}
