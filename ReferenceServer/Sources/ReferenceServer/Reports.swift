import DesiredState
import FoundationEssentials
import MargoDocuments
import NIOConcurrencyHelpers

/// The reports of a client, one file each: statuses of deployments and capabilities of devices.
struct Reports: Sendable {
  let client: String
  let directory: String

  /// A status as it is kept and listed.
  struct Status: Codable, Sendable {
    var client: String
    var receivedAt: Date
    /// How often this very status came: an agent that is not sure repeats itself.
    var deliveries: Int
    /// The overall states that came, the newest last: a device tells each change, in order.
    var states: [DocumentStatus.State]?
    var status: DeploymentStatus
  }

  /// Capabilities as they are kept and listed.
  struct Device: Codable, Sendable {
    var client: String
    var deviceId: DeviceID
    var receivedAt: Date
    /// The whole document.
    var capabilities: JSONValue
  }

  /// Held while a file is read and written anew; on threads that may block, and for no longer than that.
  private static let writing = NIOLockedValueBox<Void>(())

  /// Keeps a deployment's newest status.
  ///
  /// - Returns: whether there was none before.
  func store(_ status: DeploymentStatus) async throws -> Bool {
    try await Disk.run { [self] in
      try Self.writing.withLockedValue { _ in
        let path = file(status.deploymentId, in: "statuses")
        let before = try Disk.read(path).map { try JSONText.decode(Status.self, from: $0) }
        let deliveries = before.map { $0.status == status ? $0.deliveries + 1 : 1 } ?? 1
        var states = before?.states ?? []
        if states.last != status.status.state || before?.status.adoptedManifestVersion != status.adoptedManifestVersion
        {
          states.append(status.status.state)
        }
        try Disk.replace(
          path,
          with: JSONText.encode(
            Status(
              client: client, receivedAt: Date(), deliveries: deliveries, states: states.suffix(16), status: status)))
        return before == nil
      }
    }
  }

  func statuses() async throws -> [Status] { try await all("statuses") }
  func devices() async throws -> [Device] { try await all("capabilities") }

  /// Keeps a device's capabilities.
  ///
  /// - Returns: whether there were none before.
  /// - Throws: ``Problem`` if the device is said to be behind one that is not known.
  func store(_ capabilities: DeviceCapabilities, of device: DeviceID) async throws -> Bool {
    try await Disk.run { [self] in
      try Self.writing.withLockedValue { _ in
        if let gateway = device.parent {
          guard try Disk.read(file(gateway.description, in: "capabilities")) != nil else {
            throw Problem.gatewayNotFound
          }
        }
        let path = file(device.description, in: "capabilities")
        let isNew = try Disk.read(path) == nil
        try Disk.replace(
          path,
          with: JSONText.encode(
            Device(client: client, deviceId: device, receivedAt: Date(), capabilities: capabilities.value())))
        return isNew
      }
    }
  }

  /// - Returns: whether the device was there.
  func removeDevice(_ device: DeviceID) async throws -> Bool {
    try await Disk.run { [self] in
      try Self.writing.withLockedValue { _ in try Disk.remove(file(device.description, in: "capabilities")) }
    }
  }

  private func file(_ id: String, in folder: String) -> String {
    "\(directory)/\(folder)/\(Disk.fileName(for: id)).json"
  }

  private func all<Report: Decodable & Sendable>(_ folder: String) async throws -> [Report] {
    try await Disk.run { [path = "\(directory)/\(folder)"] in
      try Disk.names(in: path).compactMap { try Disk.read("\(path)/\($0)") }
        .map { try JSONText.decode(Report.self, from: $0) }
    }
  }
}
