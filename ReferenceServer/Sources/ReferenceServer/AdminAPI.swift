import HTTPTypes
import Hummingbird

/// The operator's view and switches, on a port of its own that only this machine reaches.
struct AdminAPI: Sendable {
  let fleet: Fleet
  let switchboard: Switchboard

  /// The server's knowledge of a client.
  private struct Client: Encodable {
    var client: String
    /// Of what it was served last; null without a publication for it.
    var manifestVersion: UInt64?
  }

  var router: Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    router.add(middleware: ProblemMiddleware())
    let group = router.group("/admin")
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
