import DesiredStateSupport
import FoundationEssentials

/// What polls and deliveries have found: `contacts.json`. For people to read, and for a process that starts again.
///
/// It may be lost, and is never torn. Flash wears: news is written at once, but no more than a few times in an hour, and
/// that nothing has changed is written once an hour.
struct StoreHealth: Sendable, Equatable, Codable {
  var sources: [String: SourceHealth] = [:]
  var delivery = DeliveryHealth()
}

/// How delivering acknowledgements goes.
struct DeliveryHealth: Sendable, Equatable, Codable {
  /// Why the last one did not arrive; nil if it did.
  var lastError: SourceHealth.Failure?
  /// How long each recipient is left alone.
  var backoff: [String: SourceHealth.Backoff] = [:]
  /// What the recipients take between them: acknowledgements of documents, of states; nil before the first delivery.
  var takes: BackendCapabilities?
}

extension BackendCapabilities: Codable {}

/// Decides when ``StoreHealth`` is written down.
struct HealthJournal: Sendable {
  /// Writes that news may still use at once, and how soon one comes back.
  private static let allowance = 6
  private static let recovery = 600.0
  /// How long it may go unwritten that nothing has changed.
  private static let refresh = 3600.0

  private(set) var written: StoreHealth
  private var lastWrite: Date?
  private var allowance = Double(Self.allowance)

  init(written: StoreHealth) {
    self.written = written
    // A process that only looks once and ends is no reason to write more often than one that stays.
    lastWrite = written.sources.values.flatMap { [$0.lastContact, $0.lastError?.at] }.compactMap(\.self).max()
  }

  /// Whether to write now.
  func isDue(_ health: StoreHealth, at now: Date) -> Bool {
    guard health != written else { return false }
    guard let lastWrite, lastWrite <= now else { return true }
    let age = now.timeIntervalSince(lastWrite)
    if age >= Self.refresh { return true }
    return isNews(health) && allowance + age / Self.recovery >= 1
  }

  /// Whether to write when the process ends.
  func isDueAtEnd(_ health: StoreHealth, at now: Date) -> Bool {
    health != written && (isNews(health) || lastWrite.map { abs(now.timeIntervalSince($0)) >= Self.recovery } ?? true)
  }

  mutating func didWrite(_ health: StoreHealth, at now: Date) {
    let age = lastWrite.map { max(0, now.timeIntervalSince($0)) } ?? 0
    allowance = max(0, min(Double(Self.allowance), allowance + age / Self.recovery) - 1)
    written = health
    lastWrite = now
  }

  private func isNews(_ health: StoreHealth) -> Bool {
    health.sources.mapValues(\.situation) != written.sources.mapValues(\.situation)
      || health.delivery.lastError?.code != written.delivery.lastError?.code
      || health.delivery.backoff.mapValues(\.situation) != written.delivery.backoff.mapValues(\.situation)
      || health.delivery.takes != written.delivery.takes
  }
}
