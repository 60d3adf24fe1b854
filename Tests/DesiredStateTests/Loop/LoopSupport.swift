import DesiredStateSupport
import DesiredStateTesting
import Foundation
import Logging
import TestSupport
import Testing

@testable import DesiredState

extension Agent {
  /// A loop with everything a test may want to set.
  func loop(
    _ sources: [any DesiredStateBackend], policy: TrustPolicy, schedule: Schedule = Schedule(jitter: 0),
    log: LogRecord? = nil, recipients: [any DesiredStateBackend]? = nil,
    _ configure: (inout Reconciler.Configuration) -> Void = { _ in },
    apply: (@Sendable (Update) async throws -> Void)? = nil
  ) async throws -> Reconciler {
    var logger = Logger(label: "test") { _ in log ?? LogRecord() }
    logger.logLevel = .trace
    var configuration = Reconciler.Configuration(
      policy: policy, device: "press-42", schedule: schedule, logger: logger, clock: clock,
      now: { [clock] in clock.date }, random: { 1 })
    configuration.timeout = Self.patience
    configure(&configuration)
    return Reconciler(
      sources: sources, acknowledgingTo: recipients, store: try await StateStore.open(path),
      configuration: configuration,
      observe: { [self] event in events.withLock { $0.append(event) } },
      apply: apply ?? { [self] update in
        if let error = fault.withLock({ $0 }) { throw error }
        updates.withLock { $0.append(update) }
      })
  }

  var names: [String] { events.withLock { $0.map(\.name) } }
  func count(_ name: String) -> Int { names.count { $0 == name } }

  /// How long a source may take in these tests: so long that no alarm for it is mistaken for a pause of the loop.
  static let patience = Duration.seconds(864_000)

  /// The next time at which a part of the loop gets up; nil while none sleeps.
  private var nextPause: VirtualClock.Instant? {
    clock.nextWakeUp.flatMap { $0.offset < clock.now.offset + Self.patience / 2 ? $0 : nil }
  }

  /// Lets time go on, from pause to pause, until something is so.
  func pump(until condition: () -> Bool) async throws {
    while !condition() {
      try Task.checkCancellation()
      if nextPause != nil { clock.advanceToNextWakeUp() }
      await Task.yield()
    }
  }

  /// Lets the loop go on by itself until the virtual clock has come this far.
  func pass(_ duration: Duration, _ reconciler: Reconciler) async throws {
    let loop = Task { await reconciler.run() }
    let end = clock.now.advanced(by: duration)
    while true {
      try Task.checkCancellation()
      if let next = nextPause {
        guard next <= end else { break }
        clock.advanceToNextWakeUp()
      }
      await Task.yield()
    }
    loop.cancel()
    await loop.value
  }
}

/// Waits until something is so.
func wait(until condition: () throws -> Bool) async throws {
  while try !condition() {
    try Task.checkCancellation()
    await Task.yield()
  }
}

/// What was logged.
final class LogRecord: LogHandler, @unchecked Sendable {
  // Sound: all of it is behind one lock.
  private let lines = LockedValue<[(level: Logger.Level, text: String)]>([])
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { lines.withLock { $0.append((event.level, "\(event.message)")) } }

  func count(of text: String, atLeast level: Logger.Level = .notice) -> Int {
    lines.withLock { $0.count { $0.level >= level && $0.text.contains(text) } }
  }
}
