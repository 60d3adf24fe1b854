import DesiredState
import Foundation
import HTTPTransport
import Logging
import MargoDeployments
import MargoDocuments
import RESTBackend
import Synchronization
import Testing

@testable import ReferenceServer

/// A gateway with three devices behind it, from its first word to its last, at this manager over mutual TLS.
@Suite(.timeLimit(.minutes(3))) struct GatewayTests {
  private static let gateway = DeviceID("gw")!

  private static func id(_ number: Int) -> String { "00000000-0000-4000-8000-00000000000\(number)" }

  private static func deployment(_ number: Int, device: String?, revision: Int = 1) -> String {
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
        type: compose
        components:
          - { name: web, properties: { repository: "oci://registry.example/web", revision: \(revision).0.0 } }
    """
  }

  private static let devices = ["gw", "gw/a", "gw/b", "gw/c"].map { id in
    var device = DeviceCapabilities(id: DeviceID(id)!, vendor: "V", modelNumber: "M", serialNumber: id)
    device.supportedDeploymentTypes = [.compose]
    return device
  }

  /// The deployments of each device, as the gateway installed them.
  private final class Plant: Sendable {
    let installed = Mutex<[String: [String]]>([:])

    /// Installs each deployment on its device, and reports each change; `gw/c` is switched off.
    func apply(_ update: Update) async throws {
      let placement = try await Placement(
        of: update.documents, gateway: GatewayTests.gateway, devices: GatewayTests.devices)
      try await update.report(placement.refusals)
      for (device, assignments) in placement.assignments {
        let host = device == GatewayTests.gateway ? nil : device.description
        for assignment in assignments {
          func status(_ state: DocumentStatus.State) -> DocumentStatus {
            DocumentStatus(
              documentID: assignment.document.id, device: host, state: state,
              components: assignment.deployment.profile.components.map { .init(name: $0.name, state: state) })
          }
          guard device.description != "gw/c" else {
            try await update.report(
              Placement.unreachable(assignment, on: device, gateway: GatewayTests.gateway))
            continue
          }
          if update.wantsEachChange { try await update.report(status(.installing)) }
          installed.withLock { $0[device.description, default: []].append(assignment.deployment.name) }
          try await update.report(status(.installed))
        }
      }
    }
  }

  @Test func `a gateway reports itself and three devices, and deploys for each by one manifest`() async throws {
    let certificates = try await Certificates.shared.value
    let tls = ReferenceServerConfiguration.TLS(
      certificateFile: certificates.file("server.pem"), keyFile: certificates.file("server.key"),
      clientAuthorityFile: certificates.authority)
    let client = certificates.certificate("press-42")
    try await TestSite.run(client: client, configuration: .init(dataDirectory: "", tls: tls)) { site async throws in
      let folder = site.data + "/gateway"
      for (number, device) in [(1, nil), (2, "gw/a"), (3, "gw/b"), (4, "gw/c"), (5, "gw/lost"), (6, "gw/*")] {
        try site.write(Self.id(number) + ".yaml", Self.deployment(number, device: device))
      }
      var settings = HTTPTransportConfiguration()
      settings.tls.trust = .only(file: certificates.authority)
      settings.tls.clientCertificate = client
      let transport = try HTTPTransport(configuration: try MargoBackend.mutualTLS(settings))
      let reports = CapabilityReports(directory: folder + "/capabilities")
      // In whatever order they are known.
      try await reports.put(Self.devices.reversed())
      let backend = try MargoBackend(base: site.base, transport: transport, reports: reports)
      let plant = Plant()
      let store = try await StateStore.open(folder + "/store")
      let reconciler = Reconciler(
        sources: [backend], store: store, configuration: .init(policy: .channel, device: "gw"), apply: plant.apply)
      guard case .current = try await reconciler.runOnce() else {
        Issue.record("the gateway did not adopt the manifest")
        return
      }
      #expect(
        plant.installed.withLock { $0 } == [
          "gw": ["app-1-deployment"], "gw/a": ["app-2-deployment"], "gw/b": ["app-3-deployment"],
        ])

      let known = try await site.get("/admin/devices").json([Device].self)
      #expect(known.map(\.deviceId).sorted() == ["gw", "gw/a", "gw/b", "gw/c"])
      func told() async throws -> [Int: DeploymentStatus] {
        let statuses = try await site.get("/admin/statuses").json([Reports.Status].self)
        return Dictionary(
          uniqueKeysWithValues: statuses.compactMap { one in
            one.status.deploymentId.last?.wholeNumberValue.map { ($0, one.status) }
          })
      }
      let first = try await told()
      #expect(first.count == 6)
      #expect((1...3).map { first[$0]?.status.state } == [.installed, .installed, .installed])
      #expect((1...5).map { first[$0]?.deviceId } == ["gw", "gw/a", "gw/b", "gw/c", "gw/lost"])
      #expect((4...6).map { first[$0]?.status.error?.code } == ["102", "101", "103"])
      #expect((4...6).allSatisfy { first[$0]?.status.error?.source == "gw" })
      #expect(first.values.allSatisfy { $0.components.map(\.name) == ["web"] })
      // Each change of state has come, in order: installing, and then installed.
      let reported = try await site.get("/admin/statuses").json([Reports.Status].self)
      #expect(
        reported.filter { $0.status.status.state == .installed }.allSatisfy { $0.states == [.installing, .installed] })

      // One of the devices goes, and another gets something new.
      try await reports.withdraw([DeviceID("gw/c")!])
      try site.write(Self.id(2) + ".yaml", Self.deployment(2, device: "gw/a", revision: 2))
      _ = try await reconciler.runOnce()
      #expect(
        try await site.get("/admin/devices").json([Device].self).map(\.deviceId).sorted() == ["gw", "gw/a", "gw/b"])
      let second = try await told()
      #expect(second[2]?.adoptedManifestVersion.map { $0 > first[2]?.adoptedManifestVersion ?? 0 } == true)
      await store.close()
      await transport.shutdown()
    }
  }

  private struct Device: Decodable {
    var deviceId: String
  }
}
