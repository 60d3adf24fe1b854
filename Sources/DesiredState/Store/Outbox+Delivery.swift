package import FoundationEssentials

extension Outbox {
  /// What came of a delivery.
  package struct Delivery: Sendable {
    /// What arrived, each with the source that took it.
    package var delivered: [(acknowledgement: Acknowledgement, source: String)] = []
    /// Those refused for good, which wait no longer.
    package var refused: [RefusedAcknowledgement] = []
    /// How many wait still; nil if no backend takes any, and it was not looked.
    package var waiting: Int?
    /// The first error of those that may pass, or that a person can mend.
    package var failure: (any Error)?
  }

  /// Delivers what waits, in order, to the first backend that can take it; what could not be delivered stays.
  ///
  /// Trouble that may pass keeps the rest waiting as well, so that order is kept. An acknowledgement that every backend
  /// refuses for good is given up. That one, and one that no backend here takes at all, keeps none about another subject
  /// waiting. A recipient that does not want each change is told the newest only.
  ///
  /// - Parameters:
  ///   - backends: where to deliver them: the first that takes one gets it.
  ///   - timeout: how long a backend may take for one acknowledgement.
  ///   - clock: what that time passes by.
  ///   - now: the time. A backend that asked for patience (``BackendError/retryAfter``) is passed over until it is over.
  ///   - record: told of each that is given up before it leaves the outbox, so that it can be written down first.
  /// - Throws: ``FileError``, ``StoreError`` for trouble with the outbox; what `record` throws; `CancellationError`.
  package func deliver(
    to backends: [any DesiredStateBackend], within timeout: Duration = .seconds(30),
    clock: any Clock<Duration> = ContinuousClock(), at now: Date = Date(),
    givingUp record: (RefusedAcknowledgement) async throws -> Void = { _ in }
  ) async throws -> Delivery {
    var result = Delivery()
    let capable = backends.filter {
      !$0.capabilities.isDisjoint(with: .acknowledges) && patience.value(of: $0.source, at: now) == nil
    }
    guard !capable.isEmpty else { return result }
    let waiting = try await waiting()
    var overtaken = 0
    var held: Set<Acknowledgement.Subject> = []
    let last = Dictionary(waiting.map { ($0.subject, $0.id) }) { $1 }
    do {
      deliveries: for acknowledgement in waiting where !held.contains(acknowledgement.subject) {
        let takers = capable.filter { $0.capabilities.contains(acknowledgement.capability) }
        if last[acknowledgement.subject] != acknowledgement.id, let first = takers.first,
          !first.capabilities.contains(.acknowledgesEachChange)
        {
          try await remove(acknowledgement)
          overtaken += 1
          continue
        }
        switch try await offer(
          acknowledgement, to: takers, within: timeout, clock: clock, at: now, trouble: &result.failure)
        {
        case .taken(let source):
          result.delivered.append((acknowledgement, source))
          try await remove(acknowledgement)
        case .refused(let refusal):
          try await record(refusal)
          result.refused.append(refusal)
          try await remove(acknowledgement)
        case .waits(mayPass: true): break deliveries
        case .waits(mayPass: false): held.insert(acknowledgement.subject)
        }
      }
    } catch is CancellationError where !(result.delivered.isEmpty && result.refused.isEmpty) {
      // What was taken or given up by now is told; else it would never be.
    }
    result.waiting = waiting.count - result.delivered.count - result.refused.count - overtaken
    return result
  }

  /// What came of one acknowledgement.
  private enum Offer {
    case taken(by: String)
    case refused(RefusedAcknowledgement)
    case waits(mayPass: Bool)
  }

  /// Offers an acknowledgement to one backend after another, until one takes it.
  ///
  /// - Parameter trouble: the first error that may pass, or that a person can mend, is noted there.
  private func offer(
    _ acknowledgement: Acknowledgement, to takers: [any DesiredStateBackend], within timeout: Duration,
    clock: any Clock<Duration>, at now: Date, trouble: inout (any Error)?
  ) async throws(CancellationError) -> Offer {
    var mayPass = false
    var isMendable = false
    var refusal: RefusedAcknowledgement?
    for backend in takers {
      do {
        try await withTimeout(timeout, clock: clock) { try await backend.acknowledge(acknowledgement) }
        return .taken(by: backend.source)
      } catch is CancellationError {
        throw CancellationError()
      } catch {
        let failure = error as? BackendError
        if let failure, failure.isRefusalForGood {
          refusal = RefusedAcknowledgement(
            acknowledgement: acknowledgement, source: backend.source,
            failure: .init(code: failure.code, message: failure.message, problem: failure.problemType, at: now))
          continue
        }
        // One that takes none of the kind has no say in it.
        isMendable = isMendable || failure?.code != .unsupported
        trouble = trouble ?? error
        patience.note(true, of: backend.source, for: failure?.retryAfter, at: now)
        mayPass = mayPass || failure?.isRetryable ?? true
      }
    }
    guard !mayPass, !isMendable, let refusal else { return .waits(mayPass: mayPass) }
    return .refused(refusal)
  }
}
