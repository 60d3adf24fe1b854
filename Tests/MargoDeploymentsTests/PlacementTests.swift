import DesiredState
import DesiredStateTesting
import Foundation
import MargoDocuments
import TestSupport
import Testing

@testable import MargoDeployments

/// One manifest for a gateway and three devices behind it.
@Suite(.timeLimit(.minutes(5))) struct PlacementTests {
  private static func id(_ number: Int) -> String { "00000000-0000-4000-8000-00000000000\(number)" }

  private static func deployment(_ number: Int, device: String?, type: String = "compose") -> String {
    """
    apiVersion: application.margo.org/v1alpha1
    kind: ApplicationDeployment
    id: \(id(number))
    metadata:
      annotations: { applicationId: app-\(number) }
      name: app-\(number)-deployment
      namespace: plant
      \(device.map { "deviceId: \($0)" } ?? "")
    spec:
      deploymentProfile:
        type: \(type)
        components:
          - { name: web, properties: { repository: "oci://registry.example/web", revision: 1.0.0 } }
    """
  }

  private static func device(_ id: String, _ type: DeviceCapabilities.DeploymentType = .compose) -> DeviceCapabilities {
    var device = DeviceCapabilities(id: DeviceID(id)!, vendor: "V", modelNumber: "M", serialNumber: id)
    device.supportedDeploymentTypes = [type]
    return device
  }

  @Test func `each device gets its own, and a deployment that none can run is refused in the specification's words`()
    async throws
  {
    let folder = TemporaryDirectory()
    let mock = MockBackend(capabilities: .acknowledges)
    let gateway = try #require(DeviceID("gw"))
    let devices = ["gw/a", "gw/b", "gw/c"].map { Self.device($0) } + [Self.device("gw")]
    mock.publish([
      Self.id(1): Self.deployment(1, device: nil), Self.id(2): Self.deployment(2, device: "gw/a"),
      Self.id(3): Self.deployment(3, device: "gw/b"), Self.id(4): Self.deployment(4, device: "gw/unknown"),
      Self.id(5): Self.deployment(5, device: "gw/*"), Self.id(6): Self.deployment(6, device: "gw/c", type: "helm"),
      Self.id(7): "kind: {", Self.id(8): Self.deployment(9, device: nil),
    ])
    let store = try await StateStore.open(folder["store"])
    let seen = LockedPlacement()
    let reconciler = Reconciler(
      sources: [mock], store: store,
      configuration: .init(policy: .unsigned, device: "gw", schedule: Schedule(interval: .seconds(600)))
    ) { update in
      let placement = try await Placement(of: update.documents, gateway: gateway, devices: devices)
      seen.value = placement
      try await update.report(placement.refusals)
      for (device, assignments) in placement.assignments {
        for assignment in assignments where device.description == "gw/b" {
          try await update.report(Placement.unreachable(assignment, on: device, gateway: gateway))
        }
      }
    }
    guard case .current = try await reconciler.runOnce() else {
      Issue.record("it did not adopt")
      return
    }
    let placement = try #require(seen.value)
    #expect(placement.assignments.map(\.device.description) == ["gw", "gw/a", "gw/b"])
    #expect(
      placement.assignments.map { $0.deployments.map(\.document.id) } == [[Self.id(1)], [Self.id(2)], [Self.id(3)]])
    func told(_ number: Int) -> String? {
      mock.status(of: Self.id(number)).map { "\($0.error?.code ?? "-") \($0.error?.source ?? "-") \($0.device ?? "-")" }
    }
    #expect(told(3) == "102 gw gw/b" && told(4) == "101 gw gw/unknown" && told(5) == "103 gw -")
    #expect(told(6) == "not-eligible app-6-deployment gw/c")
    #expect(told(7)?.hasPrefix("malformed") == true && told(8)?.hasPrefix("wrong-id") == true)
    #expect(mock.status(of: Self.id(4))?.components.map(\.state) == [.failed])
  }

  @Test func `a gateway that chooses is offered the devices that can`() async throws {
    let folder = TemporaryDirectory()
    let mock = MockBackend()
    mock.publish([Self.id(5): Self.deployment(5, device: "gw/*")])
    let seen = LockedPlacement()
    let reconciler = Reconciler(
      sources: [mock], store: try await StateStore.open(folder["store"]),
      configuration: .init(policy: .unsigned, device: "gw", schedule: Schedule(interval: .seconds(600)))
    ) { update in
      seen.value = try await Placement(
        of: update.documents, gateway: DeviceID("gw")!,
        devices: [Self.device("gw"), Self.device("gw/a", .helm), Self.device("gw/b")]
      ) { _, candidates in candidates.first?.id }
    }
    _ = try await reconciler.runOnce()
    #expect(seen.value?.assignments.map(\.device.description) == ["gw/b"])
  }
}

/// What the work found, for the test that waits for it.
private final class LockedPlacement: @unchecked Sendable {
  private let lock = NSLock()
  private var placement: Placement?
  var value: Placement? {
    get { lock.withLock { placement } }
    set { lock.withLock { placement = newValue } }
  }
}
