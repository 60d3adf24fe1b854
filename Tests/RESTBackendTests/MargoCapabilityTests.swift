import DesiredState
import DesiredStateTesting
import Foundation
import HTTPMessageSignatures
import HTTPTestSupport
import HTTPTransport
import MargoDocuments
import RESTTestSupport
import TestSupport
import Testing

@testable import RESTBackend

/// Capabilities: durable before they are sent, sent before anything else, and again when they change.
@Suite(.timeLimit(.minutes(2))) struct `Reporting capabilities to a fleet manager` {
  private static func device(_ id: String, memory: String = "8Gi") -> DeviceCapabilities {
    var device = DeviceCapabilities(id: DeviceID(id)!, vendor: "Acme", modelNumber: "P-1", serialNumber: "0815")
    device.memory = memory
    return device
  }

  /// A manager with a manifest, and reports for it.
  private static func start() async throws -> (site: MargoSite, reports: CapabilityReports, folder: TemporaryDirectory)
  {
    let site = try await MargoSite.start()
    try site.publish(MargoState(version: 1, MargoTests.documents))
    let folder = TemporaryDirectory()
    return (site, CapabilityReports(below: folder["records"]), folder)
  }

  private func manager(_ site: MargoSite, _ reports: CapabilityReports, file: String? = nil) throws -> MargoBackend {
    try MargoBackend(
      base: site.base, transport: try site.transport(), reports: reports, capabilitiesFile: file)
  }

  private func look(_ backend: MargoBackend) async throws {
    _ = try await backend.fetch(FetchRequest(current: nil, timeout: .seconds(20)))
  }

  private func steps(_ site: MargoSite) -> [String] {
    site.requests.map { "\($0.method) \($0.path.dropFirst("/api/v1".count)) \($0.status)" }
  }

  @Test func `a gateway comes before its children, everything before the first poll, and once`() async throws {
    let (site, reports, folder) = try await Self.start()
    try await reports.put(["gw/b/c", "gw/a", "gw", "gw/b"].map { Self.device($0) })
    try await look(manager(site, reports))
    #expect(
      steps(site) == [
        "PUT /capabilities/gw 201", "PUT /capabilities/gw/a 201", "PUT /capabilities/gw/b 201",
        "PUT /capabilities/gw/b/c 201", "GET /deployments 200",
      ])
    let body = try #require(Data(base64Encoded: site.requests[0].body))
    #expect(try DeviceCapabilities(parsing: Array(body)) == Self.device("gw"))
    // The same again, also by another process that knows no more than the directory.
    let later = CapabilityReports(below: folder["records"])
    try await later.put([Self.device("gw")])
    try await look(manager(site, later))
    #expect(steps(site).dropFirst(5) == ["GET /deployments 200"])
    // What changed, alone.
    try await later.put([Self.device("gw/a", memory: "16Gi")])
    try await look(manager(site, later))
    #expect(steps(site).dropFirst(6) == ["PUT /capabilities/gw/a 200", "GET /deployments 200"])
    #expect(try await later.status().allSatisfy { $0.managers.values.map(\.state) == [.taken] })
  }

  @Test func `a device that is gone is unregistered, those behind it first, and then forgotten`() async throws {
    let (site, reports, _) = try await Self.start()
    try await reports.put(["gw", "gw/a", "other"].map { Self.device($0) })
    let backend = try manager(site, reports)
    _ = try await reports.deliver(to: backend)
    try await reports.withdraw([DeviceID("gw")!])
    let result = try await reports.deliver(to: backend)
    #expect(result.taken.map(\.device.description) == ["gw/a", "gw"] && result.taken.allSatisfy(\.isWithdrawn))
    #expect(steps(site).suffix(2) == ["DELETE /capabilities/gw/a 204", "DELETE /capabilities/gw 204"])
    #expect(try await reports.status().map(\.device.description) == ["other"])
    // A manager that does not know it has nothing to forget.
    try await reports.withdraw([DeviceID("stranger")!])
    #expect(try await reports.deliver(to: backend).failure == nil)
    #expect(try await reports.status().count == 1)
  }

  @Test func `a refusal for good is not asked for again until something changes, and keeps no poll waiting`()
    async throws
  {
    let (site, reports, _) = try await Self.start()
    let problem = """
      {"status": 422, "path": "capabilities", "body": {"type": "https://docs.margo.org/specification/problem-types#semantic-error",
       "title": "Semantic Error", "status": 422, "retryable": false,
       "errors": [{"field": "properties.memory", "message": "is too little"}]}}
      """
    try site.write("report-problem", problem)
    try await reports.put([Self.device("press")])
    let backend = try manager(site, reports)
    for _ in 1...3 { try await look(backend) }
    #expect(steps(site).filter { $0.hasPrefix("PUT") }.count == 1)
    #expect(steps(site).filter { $0.hasPrefix("GET") }.count == 3)
    let answer = try #require(try await reports.status().first?.managers[backend.source])
    #expect(answer.state == .refused && answer.nextAttempt == nil)
    #expect(answer.lastError?.problem?.hasSuffix("#semantic-error") == true)
    #expect(answer.lastError?.message.contains("properties.memory") == true, "\(answer)")
    #expect(answer.lastError?.message.contains("is too little") == true, "\(answer)")
    site.remove("report-problem")
    try await look(backend)
    #expect(steps(site).filter { $0.hasPrefix("PUT") }.count == 1)
    try await reports.put([Self.device("press")])
    try await look(backend)
    #expect(try await reports.status().first?.managers[backend.source]?.state == .taken)
  }

  @Test func `a manager's patience is kept across restarts, and grows where it names none`() async throws {
    let (site, reports, folder) = try await Self.start()
    try site.write(
      "report-problem",
      #"{"status": 503, "path": "capabilities", "headers": {"Retry-After": "100"}, "body": {"title": "Later"}}"#)
    let backend = try manager(site, reports)
    try await reports.put([Self.device("press"), Self.device("belt")])
    // Records keep whole seconds.
    let now = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
    #expect(try await reports.deliver(to: backend, at: now).failure?.code == .serverError)
    // The others are left alone as well: it is the manager's trouble.
    #expect(site.requests.count == 1)
    site.remove("report-problem")
    let later = CapabilityReports(below: folder["records"])
    #expect(try await later.deliver(to: backend, at: now + 99).taken.map(\.device.description) == ["press"])
    #expect(try await later.deliver(to: backend, at: now + 101).taken.map(\.device.description) == ["belt"])
    try site.write("report-problem", #"{"status": 500, "path": "capabilities", "body": {}}"#)
    try await later.put([Self.device("belt", memory: "1Gi")])
    var waits: [Double] = []
    var time = now
    for _ in 1...3 {
      _ = try await later.deliver(to: backend, at: time)
      let next = try #require(
        try await later.status().first { $0.device.description == "belt" }?.managers[backend.source]?.nextAttempt)
      waits.append(next.timeIntervalSince(time).rounded())
      time = next
    }
    // Chance takes half of it at most.
    for (wait, full) in zip(waits, [5.0, 10, 20]) { #expect((full / 2 - 1...full).contains(wait), "\(waits)") }
  }

  @Test(arguments: [("fixed", [10.0, 10, 10]), ("exponential", [10, 20, 40])])
  func `a manager's strategy counts where its answer has no Retry-After`(strategy: String, wanted: [Double])
    async throws
  {
    let (site, reports, folder) = try await Self.start()
    let backend = try manager(site, reports)
    try await reports.put([Self.device("press")])
    try site.write(
      "report-problem",
      #"{"status": 503, "path": "capabilities", "body": {"retryAfterSeconds": 10, "backoffStrategy": "\#(strategy)"}}"#)
    var time = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded(.down))
    var waits: [Double] = []
    for _ in 1...3 {
      // As after a restart, each time.
      let reports = CapabilityReports(below: folder["records"])
      _ = try await reports.deliver(to: backend, at: time)
      let next = try #require(try await reports.status().first?.managers[backend.source]?.nextAttempt)
      waits.append(next.timeIntervalSince(time))
      time = next
    }
    #expect(waits == wanted)
  }

  @Test func `a manager that forgot a gateway hears of it again, and a child without one waits for it`() async throws {
    let (site, reports, _) = try await Self.start()
    let backend = try manager(site, reports)
    try await reports.put([Self.device("gw/a")])
    #expect(try await reports.deliver(to: backend).failure?.problemType == MargoBackend.gatewayNotFound)
    try await reports.put([Self.device("gw")])
    #expect(try await reports.deliver(to: backend).taken.map(\.device.description) == ["gw", "gw/a"])
    site.remove("devices")
    try await reports.put([Self.device("gw/a", memory: "1Gi")])
    #expect(try await reports.deliver(to: backend).taken.map(\.device.description) == ["gw", "gw/a"])
  }

  @Test func `a file is taken again when it changes, and a broken one changes nothing`() async throws {
    let (site, reports, folder) = try await Self.start()
    let file = folder["capabilities.json"]
    func write(_ text: String) throws { try folder.write("capabilities.json", text) }
    #expect(throws: SourceAddressError.self) { try manager(site, reports, file: file) }
    try write(#"{"properties": {"id": "a b"}}"#)
    #expect(throws: SourceAddressError.self) { try manager(site, reports, file: file) }
    try write(String(decoding: Self.device("press").encoded(), as: UTF8.self))
    let backend = try manager(site, reports, file: file)
    try await look(backend)
    try write("{")
    try await look(backend)
    try write(String(decoding: Self.device("press", memory: "1Gi").encoded(), as: UTF8.self))
    try await look(backend)
    #expect(
      steps(site) == [
        "PUT /capabilities/press 201", "GET /deployments 200", "GET /deployments 200", "PUT /capabilities/press 200",
        "GET /deployments 200",
      ])
  }

  @Test func `the client-id form posts a new device, puts a known one, and signs both`() async throws {
    let site = try await MargoSite.start(isSecure: false)
    let folder = TemporaryDirectory()
    let reports = CapabilityReports(below: folder["records"])
    let key = try HTTPSigningKey(pem: try String(contentsOfFile: site.certificates.key("wfm-client"), encoding: .utf8))
    let backend = try MargoBackend(
      base: site.base, clientID: "client-7", transport: try HTTPTransport(),
      signRequest: MargoBackend.signature(by: key, keyID: "client-7"), reports: reports)
    for memory in ["1Gi", "2Gi"] {
      try await reports.put([Self.device("press", memory: memory)])
      _ = try await reports.deliver(to: backend)
    }
    try await reports.withdraw([DeviceID("press")!])
    _ = try await reports.deliver(to: backend)
    #expect(site.requests.map(\.method) == ["POST", "PUT", "DELETE"])
    #expect(site.requests.allSatisfy { $0.path == "/api/v1/clients/client-7/capabilities/press" })
    #expect(site.requests.allSatisfy { $0.fields["signature"] != nil })
    let body = try #require(Data(base64Encoded: site.requests[0].body))
    let sent = try JSONDecoder().decode(JSONValue.self, from: body)
    #expect(sent.value(at: "/kind") == .string("DeviceCapabilitiesManifest"))
  }

  @Test func `a manager that cannot be reached ends the poll, and the report is still there`() async throws {
    let (site, reports, folder) = try await Self.start()
    let backend = try manager(site, reports)
    try await reports.put([Self.device("press")])
    try await site.stop()
    let error = await #expect(throws: BackendError.self) { try await look(backend) }
    #expect(error?.code == .unreachable)
    #expect(
      try await CapabilityReports(below: folder["records"]).status().first?.managers[backend.source]?.state == .waiting)
  }
}
