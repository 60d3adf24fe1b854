import DesiredState
import HTTPTypes
public import MargoDocuments

extension MargoBackend {
  /// Reports the capabilities of a device: `PUT …/capabilities/{deviceId}`, or `POST` of the client-id form for a
  /// device that the manager does not know yet.
  ///
  /// A device behind a gateway is refused until its gateway is known (`gateway-not-found`). For reports that survive a
  /// restart and are sent again on change see ``CapabilityReports``.
  ///
  /// - Parameters:
  ///   - capabilities: the capabilities.
  ///   - isKnown: whether the manager took an earlier report of this device.
  ///   - timeout: how long the manager may take.
  /// - Throws: `BackendError`; `CancellationError`.
  public func report(
    _ capabilities: DeviceCapabilities, isKnown: Bool = false, timeout: Duration = .seconds(30)
  ) async throws {
    try await refreshTrust(timeout: timeout)
    try await client.deliver(
      capabilities.encoded(for: api.namesClient ? .clientID : .current),
      by: api.namesClient && !isKnown ? .post : .put, to: try api.capabilities(of: capabilities.id),
      contentType: "application/json", deadline: .now + timeout)
  }

  /// Unregisters a device: `DELETE …/capabilities/{deviceId}`. That the manager does not know it is as good.
  ///
  /// - Throws: `BackendError`; `CancellationError`.
  public func unregister(_ device: DeviceID, timeout: Duration = .seconds(30)) async throws {
    try await refreshTrust(timeout: timeout)
    do {
      try await client.deliver(
        [], by: .delete, to: try api.capabilities(of: device), contentType: "application/json",
        deadline: .now + timeout)
    } catch let error as BackendError where error.problemType == Self.deviceNotFound {}
  }

  /// Problem types of the specification that mean something to a client (they are never fetched).
  static let gatewayNotFound = "https://docs.margo.org/specification/problem-types#gateway-not-found"
  static let deviceNotFound = "https://docs.margo.org/specification/problem-types#device-not-found"
}
