import FoundationEssentials
import HTTPTypes
import Hummingbird

/// The operator's view and switches, on a port of its own that only this machine reaches.
struct AdminAPI: Sendable {
  let fleet: Fleet
  let switchboard: Switchboard

  /// The server's knowledge of a client.
  private struct Client: Encodable {
    var client: String
    /// Of the manifest that it was served last; null without a publication for it.
    var manifestVersion: UInt64?
  }

  /// A status as the receipt that the device would write where it can write files: `desired-state receipts` reads these.
  private struct Receipt: Encodable {
    var device: String
    var time: Date
    var deploymentId: String
    var adoptedManifestVersion: UInt64?
    var status: DeploymentStatus.Overall
    var components: [DeploymentStatus.Component]

    init(_ report: Reports.Status) {
      device = report.status.deviceId ?? report.client
      time = report.receivedAt
      deploymentId = report.status.deploymentId
      adoptedManifestVersion = report.status.adoptedManifestVersion
      status = report.status.status
      components = report.status.components
    }
  }

  var router: Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    router.add(middleware: ProblemMiddleware())
    // For people; everything in it comes by the stream of events.
    router.get("/") { _, _ in
      Response(
        status: .ok,
        headers: [
          .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
          HTTPField.Name("Content-Security-Policy")!: "default-src 'self' 'unsafe-inline'",
        ], body: .init(byteBuffer: ByteBuffer(string: StatusPage.html)))
    }
    let group = router.group("/admin")
    group.get("events") { _, _ in
      Response(
        status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
        body: .init { writer in
          var last: [UInt8] = []
          while true {
            let now = try await snapshot()
            if now != last {
              try await writer.write(ByteBuffer(bytes: Array("data: ".utf8) + now + Array("\n\n".utf8)))
            }
            // A comment shows whether the reader is still there.
            else {
              try await writer.write(ByteBuffer(string: ":\n\n"))
            }
            last = now
            try await Task.sleep(for: .milliseconds(500))
          }
        })
    }
    group.get("clients") { _, _ in
      var list: [Client] = []
      for client in try await fleet.clients() {
        list.append(
          Client(client: client, manifestVersion: try await fleet.assignment(of: client).current()?.version))
      }
      return try json(list)
    }
    group.get("statuses") { request, _ in
      try json(try await reports(request) { try await $0.statuses() })
    }
    group.get("receipts") { request, _ in
      try json(try await reports(request) { try await $0.statuses() }.map(Receipt.init))
    }
    group.get("devices") { request, _ in
      try json(try await reports(request) { try await $0.devices() })
    }
    group.get("faults") { _, _ in try json(switchboard.faults) }
    group.put("faults") { request, _ in
      let faults = try JSONText.request(
        [Fault].self, from: Array(buffer: try await request.body.collect(upTo: 1 << 20)))
      for fault in faults { try fault.check() }
      switchboard.faults = faults
      return try json(faults)
    }
    group.delete("faults") { _, _ in
      switchboard.faults = []
      return Response(status: .noContent)
    }
    return router
  }

  /// Everything at once, for the page.
  private struct Snapshot: Encodable {
    var clients: [Client]
    var devices: [Reports.Device]
    var statuses: [Reports.Status]
    var faults: [Fault]
    var kinds: [String]
  }

  /// On one line, as an event's data has to be.
  private func snapshot() async throws -> [UInt8] {
    var snapshot = Snapshot(
      clients: [], devices: [], statuses: [], faults: switchboard.faults, kinds: Fault.Kind.allCases.map(\.rawValue))
    for client in try await fleet.clients() {
      let reports = fleet.reports(of: client)
      snapshot.clients.append(
        Client(client: client, manifestVersion: try await fleet.assignment(of: client).current()?.version))
      snapshot.devices += try await reports.devices()
      snapshot.statuses += try await reports.statuses()
    }
    return try JSONText.line(snapshot)
  }

  /// Of every client, or of the one that the query names.
  private func reports<Report>(_ request: Request, _ read: (Reports) async throws -> [Report]) async throws -> [Report]
  {
    let one = request.uri.queryParameters.get("client")
    var list: [Report] = []
    for client in try await fleet.clients() where one == nil || one == client {
      list += try await read(fleet.reports(of: client))
    }
    return list
  }

  private func json(_ value: some Encodable) throws -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/json"],
      body: .init(byteBuffer: ByteBuffer(bytes: try JSONText.encode(value))))
  }
}
