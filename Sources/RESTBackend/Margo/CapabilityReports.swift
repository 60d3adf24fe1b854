public import DesiredState
import DesiredStateSupport
public import FoundationEssentials
public import MargoDocuments

/// What fleet managers are to know of this device and of those behind it: durable before it is sent, sent before anything
/// else, and again when it changes.
///
/// A directory with a file for each device. Several processes may use it at once: an agent that delivers, and a command
/// that publishes.
public struct CapabilityReports: Sendable {
  let directory: String
  private let worker = Worker("desired-state.capabilities")

  /// How long another process may have the directory: reading or writing takes milliseconds.
  private static let lockPatience = Duration.seconds(10)
  static let sizeLimit = 1 << 20

  /// The reports in a directory, which is created when something is put into it.
  public init(directory: String) { self.directory = directory }

  /// The reports below a `BackendContext.recordDirectory`.
  public init(below recordDirectory: String) { directory = Files.join(recordDirectory, "capabilities") }

  /// Says what devices have. It is durable when this returns. Capabilities that are the same as before are not sent again
  /// to a manager that has them; those that a manager refused are.
  ///
  /// - Throws: `FileError`; `BackendError` with `busy` if another process does not let go of them.
  public func put(_ capabilities: [DeviceCapabilities]) async throws {
    try await change { records in
      for one in capabilities {
        var record = records[one.id] ?? Record(device: one.id)
        record.content = .reported(one.value())
        record.managers = record.managers.filter { $0.value.isTaken }
        records[one.id] = record
      }
    }
  }

  /// As ``put(_:)``, for files that are looked at again and again: refusals stand while nothing changes.
  func update(_ capabilities: [DeviceCapabilities]) async throws {
    try await change { records in
      for one in capabilities where records[one.id]?.content != .reported(one.value()) {
        var record = records[one.id] ?? Record(device: one.id)
        record.content = .reported(one.value())
        records[one.id] = record
      }
    }
  }

  /// Says that devices are gone, and with a gateway the devices behind it. It is durable when this returns.
  ///
  /// - Throws: `FileError`; `BackendError` with `busy` if another process does not let go of them.
  public func withdraw(_ devices: [DeviceID]) async throws {
    try await change { records in
      let behind = records.keys.filter { known in devices.contains { known.isBehind($0) } }
      for device in Set(devices + behind) {
        var record = records[device] ?? Record(device: device)
        record.content = .withdrawn
        record.managers = record.managers.filter { $0.value.isTaken }
        records[device] = record
      }
    }
  }

  /// How the reports stand, a gateway before the devices behind it.
  ///
  /// - Throws: `FileError`; `BackendError` with `busy` if another process does not let go of them.
  public func status() async throws -> [Status] {
    let directory = directory
    return try await worker.run {
      try Self.records(in: directory).values.sorted { $0.device < $1.device }.map(\.status)
    }
  }

  /// How the report of one device stands.
  public struct Status: Sendable, Equatable, Codable {
    /// The device.
    public var device: DeviceID
    /// Whether it is the report that the device is gone.
    public var isWithdrawn: Bool
    /// How each manager took it, by its source.
    public var managers: [String: Manager]

    /// How a manager took it.
    public struct Manager: Sendable, Equatable, Codable {
      /// Whether it has it.
      public var state: State
      /// Why it does not have it; nil if it does.
      public var lastError: SourceHealth.Failure?
      /// When it is asked again, if it was asked and does not have it.
      public var nextAttempt: Date?
    }

    /// Whether a manager has a report.
    public enum State: String, Sendable, Equatable, Codable {
      /// The manager has it.
      case taken
      /// It is sent when the manager can be reached, or has changed its mind.
      case waiting
      /// The manager refused it for good; it is sent again when it changes, or is published again.
      case refused
    }
  }

  // MARK: - Files

  /// The report of one device, and who has it.
  struct Record: Sendable, Equatable, Codable {
    var device: DeviceID
    var content = Content.withdrawn
    /// By source.
    var managers: [String: Delivery] = [:]

    enum Content: Sendable, Equatable, Codable {
      case reported(JSONValue)
      case withdrawn
    }

    struct Delivery: Sendable, Equatable, Codable {
      /// The digest of the report: other content has not been tried.
      var content: Digest
      var isTaken: Bool
      /// Whether the manager ever took a report of the device.
      var isKnown: Bool
      var isRefused = false
      var failures = 0
      var since: Date?
      var until: Date?
      var lastError: SourceHealth.Failure?
    }

    var contentDigest: Digest {
      switch content {
      case .withdrawn: Digest.of([])
      case .reported(let value): Digest.of((try? JSON.file(value)) ?? [])
      }
    }

    var isWithdrawn: Bool { content == .withdrawn }

    var status: Status {
      Status(
        device: device, isWithdrawn: isWithdrawn,
        managers: managers.mapValues { delivery in
          guard delivery.content == contentDigest else { return .init(state: .waiting) }
          return .init(
            state: delivery.isTaken ? .taken : delivery.isRefused ? .refused : .waiting,
            lastError: delivery.lastError, nextAttempt: delivery.until)
        })
    }
  }

  /// Changes records, with the lock; those that are the same afterwards are not written.
  func change(_ body: @escaping @Sendable (inout [DeviceID: Record]) -> Void) async throws {
    let directory = directory
    try await worker.run {
      try Files.createDirectories(directory, mode: 0o700)
      guard let lock = try FileLock(directory, waitingAtMost: Self.lockPatience) else {
        throw BackendError(
          .busy, "another process has held \(directory) for \(Self.lockPatience); find it with fuser(1) and stop it")
      }
      defer { lock.release() }
      let before = try Self.records(in: directory)
      var records = before
      body(&records)
      for (device, record) in records.sorted(by: { $0.key < $1.key }) where before[device] != record {
        try Files.replace(Self.path(of: device, in: directory), with: try JSON.file(record), mode: 0o600)
      }
      for device in before.keys where records[device] == nil {
        try Files.remove(Self.path(of: device, in: directory))
      }
    }
  }

  func records() async throws -> [DeviceID: Record] {
    let directory = directory
    return try await worker.run { try Self.records(in: directory) }
  }

  private static func records(in directory: String) throws -> [DeviceID: Record] {
    guard try Files.status(of: directory) != nil else { return [:] }
    var records: [DeviceID: Record] = [:]
    for name in try Files.names(in: directory) where name.hasSuffix(".json") && !name.hasPrefix(".") {
      // What cannot be read is put anew by its publisher.
      guard let bytes = try Files.read(Files.join(directory, name), limit: sizeLimit),
        let record = try? JSON.decode(Record.self, from: bytes)
      else { continue }
      records[record.device] = record
    }
    return records
  }

  private static func path(of device: DeviceID, in directory: String) -> String {
    Files.join(directory, Digest.of(device.description.utf8).hexadecimal + ".json")
  }
}
