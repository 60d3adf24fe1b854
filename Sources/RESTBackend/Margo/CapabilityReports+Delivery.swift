public import DesiredState
import DesiredStateSupport
public import FoundationEssentials
public import MargoDocuments

extension CapabilityReports {
  /// What came of a delivery.
  public struct Delivery: Sendable {
    /// Reports that the manager has now and had not before, in the order in which it was sent.
    public var taken: [(device: DeviceID, isWithdrawn: Bool)] = []
    /// What it refused for good.
    public var refused: [(device: DeviceID, failure: BackendError)] = []
    /// The first trouble that may pass, if any; its report waits.
    public var failure: BackendError?
    /// Whether nothing waits for this manager any more.
    var isSettled = false

    /// Nothing yet.
    public init() {}
  }

  /// Sends what a manager does not have yet: a gateway before the devices behind it, then the withdrawals, the devices behind a
  /// gateway first.
  ///
  /// A refusal for good is noted, and not asked for again until the content changes. Everything else is sent again when
  /// the manager's patience is over, which survives a restart. A manager that does not know a gateway that it had taken is
  /// told of it once more.
  ///
  /// - Parameters:
  ///   - manager: the manager.
  ///   - isForced: whether reports that are to wait are sent, too.
  ///   - timeout: how long the manager may take for each.
  ///   - now: the time.
  /// - Throws: `FileError`; `BackendError` with `busy`; `CancellationError`.
  public func deliver(
    to manager: MargoBackend, isForced: Bool = false, timeout: Duration = .seconds(30), at now: Date = Date()
  ) async throws -> Delivery {
    var result = Delivery()
    var records = try await records()
    let source = manager.source
    let reports = records.values.filter { !$0.isWithdrawn }.map(\.device).sorted()
    let withdrawals = records.values.filter(\.isWithdrawn).map(\.device).sorted(by: >)
    var retold: Set<DeviceID> = []
    var queue = reports + withdrawals
    while !queue.isEmpty {
      let device = queue.removeFirst()
      // With its gateway, a device behind it is no longer refused for the lack of it.
      let isAllowed = isForced || result.taken.contains { $0.device == device.parent && !$0.isWithdrawn }
      guard let record = records[device], record.isDue(at: source, isForced: isAllowed, now: now) else { continue }
      // A device behind a gateway that the manager does not have would be refused.
      if !record.isWithdrawn, let parent = device.parent, let gateway = records[parent], !gateway.isWithdrawn,
        !gateway.isTaken(by: source)
      {
        continue
      }
      do {
        try await send(record, to: manager, timeout: timeout)
        try await note(record, source, in: &records) { $0.take(now) }
        result.taken.append((device, record.isWithdrawn))
      } catch let error as BackendError {
        if error.problemType == MargoBackend.gatewayNotFound, let gateway = device.parent, records[gateway] != nil,
          retold.insert(gateway).inserted
        {
          // It forgot the gateway: it hears of it again, and then of this device.
          try await note(records[gateway]!, source, in: &records) { $0.isTaken = false }
          queue = [gateway, device] + queue
          continue
        }
        // A gateway can still come.
        let isRefused = error.isRefusalForGood && error.problemType != MargoBackend.gatewayNotFound
        try await note(record, source, in: &records) { $0.fail(error, isRefused: isRefused, now) }
        if isRefused {
          result.refused.append((device, error))
        } else {
          result.failure = result.failure ?? error
          // What the manager cannot take from one it cannot take from another.
          guard error.problemType == MargoBackend.gatewayNotFound else { return result }
        }
      }
    }
    result.isSettled = records.values.allSatisfy { $0.isSettled(for: source) }
    return result
  }

  private func send(_ record: Record, to manager: MargoBackend, timeout: Duration) async throws {
    switch record.content {
    case .withdrawn: try await manager.unregister(record.device, timeout: timeout)
    case .reported(let value):
      let capabilities: DeviceCapabilities
      do {
        capabilities = try DeviceCapabilities(value)
      } catch {
        throw BackendError(.protocolViolation, error.message, isRetryable: false, underlying: error)
      }
      try await manager.report(
        capabilities, isKnown: record.managers[manager.source]?.isKnown ?? false, timeout: timeout)
    }
  }

  /// Notes how a manager took a report, unless it has changed meanwhile. A withdrawal that has arrived is forgotten
  /// when no other manager has to hear of it.
  private func note(
    _ record: Record, _ source: String, in records: inout [DeviceID: Record],
    _ body: @escaping @Sendable (inout Record.Delivery) -> Void
  ) async throws {
    let content = record.contentDigest
    try await change { records in
      guard var current = records[record.device], current.contentDigest == content else { return }
      var delivery =
        current.managers[source] ?? Record.Delivery(content: content, isTaken: false, isKnown: false)
      if delivery.content != content {
        delivery = Record.Delivery(content: content, isTaken: false, isKnown: delivery.isKnown)
      }
      body(&delivery)
      current.managers[source] = delivery
      let isDone =
        current.isWithdrawn && current.managers.values.allSatisfy { $0.content == content && $0.isTaken }
      records[record.device] = isDone ? nil : current
    }
    records = try await self.records()
  }
}

extension CapabilityReports.Record {
  func isTaken(by source: String) -> Bool {
    managers[source].map { $0.isTaken && $0.content == contentDigest } ?? false
  }

  func isSettled(for source: String) -> Bool {
    managers[source].map { ($0.isTaken || $0.isRefused) && $0.content == contentDigest } ?? false
  }

  func isDue(at source: String, isForced: Bool, now: Date) -> Bool {
    guard let delivery = managers[source], delivery.content == contentDigest else { return true }
    if delivery.isTaken { return false }
    if isForced { return true }
    if delivery.isRefused { return false }
    // A clock that was set back since is not waited for.
    if let since = delivery.since, let until = delivery.until, since <= now, now < until { return false }
    return true
  }
}

extension CapabilityReports.Record.Delivery {
  private static let longestWait = Duration.seconds(900)

  fileprivate mutating func take(_ now: Date) {
    isTaken = true
    isKnown = true
    isRefused = false
    failures = 0
    (since, until, lastError) = (nil, nil, nil)
  }

  /// Waits as long as the manager asked for, or twice as long after each failure, a quarter of an hour at most.
  fileprivate mutating func fail(_ error: BackendError, isRefused: Bool, _ now: Date) {
    isTaken = false
    self.isRefused = isRefused
    failures += 1
    let wait =
      error.wait(afterFailures: failures, growingTo: Self.longestWait)
      ?? Backoff(first: .seconds(5), longest: Self.longestWait)
      .wait(afterFailures: failures, random: .random(in: 0...1))
    since = now
    until = isRefused ? nil : now.addingTimeInterval(wait / .seconds(1))
    lastError = .init(code: error.code, message: error.message, problem: error.problemType, at: now)
  }
}
