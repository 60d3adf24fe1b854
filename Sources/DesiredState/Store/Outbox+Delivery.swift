public import FoundationEssentials

extension Outbox {
  /// Delivers what waits, in order, to the first backend that can take it; what could not be delivered stays.
  ///
  /// Trouble that may pass keeps the rest waiting as well, so that order is kept. An acknowledgement that is refused for
  /// good, or that no backend here takes at all, keeps no other waiting: the newest per subject is all there is.
  ///
  /// - Parameters:
  ///   - backends: where to deliver them: the first that takes one gets it.
  ///   - timeout: how long a backend may take for one acknowledgement.
  ///   - clock: what that time passes by.
  ///   - now: the time. A backend that asked for patience (``BackendError/retryAfter``) is passed over until it is
  ///     over.
  /// - Returns: the delivered acknowledgements, each with the source that took it, and the first error, if any.
  public func deliver(
    to backends: [any DesiredStateBackend], within timeout: Duration = .seconds(30),
    clock: any Clock<Duration> = ContinuousClock(), at now: Date = Date()
  ) async throws -> (delivered: [(Acknowledgement, source: String)], failure: (any Error)?) {
    let capable = backends.filter {
      !$0.capabilities.isDisjoint(with: .acknowledges) && patience.value(of: $0.source, at: now) == nil
    }
    guard !capable.isEmpty else { return ([], nil) }
    var delivered: [(Acknowledgement, source: String)] = []
    var failure: (any Error)?
    for acknowledgement in try await waiting() {
      var taker: String?
      var mayPass = false
      for backend in capable where taker == nil && backend.capabilities.contains(acknowledgement.capability) {
        do {
          try await withTimeout(timeout, clock: clock) { try await backend.acknowledge(acknowledgement) }
          taker = backend.source
        } catch is CancellationError {
          throw CancellationError()
        } catch {
          failure = failure ?? error
          patience.note(true, of: backend.source, for: (error as? BackendError)?.retryAfter, at: now)
          mayPass = mayPass || (error as? BackendError)?.isRetryable ?? true
        }
      }
      if mayPass, taker == nil { break }
      guard let taker else { continue }
      try await remove(acknowledgement)
      delivered.append((acknowledgement, taker))
    }
    return (delivered, failure)
  }
}
