import Foundation
import HTTPTestSupport
import Testing

/// The program against a Margo fleet manager (`margo.py`), in both forms of the API.
@Suite(.timeLimit(.minutes(5))) struct `Following a fleet manager` {
  let site: Site
  let certificates: Certificates

  init() async throws {
    site = try Site()
    certificates = try await Certificates.shared.value
  }

  /// A manager, and the source by which it is followed.
  private func manager(isSecure: Bool = true) async throws -> (server: PythonServer, source: String) {
    let tls =
      isSecure
      ? [
        "--tls", certificates.certificate("wfm"), certificates.key("wfm"), "--client-ca", certificates.authority,
      ] : []
    let server = try await PythonServer.start("margo", ["--root", site.root] + tls)
    return (server, "margo+\(isSecure ? "https" : "http")://localhost:\(server.port)")
  }

  private func publish(_ documents: [String: String], version: Int, client: String? = nil) async throws {
    var entries: [String] = []
    for (id, text) in documents.sorted(by: { $0.key < $1.key }) {
      let digest = try await site.sha256(text)
      try site.write(text, to: "artifacts/\(digest)")
      let prefix = client.map { "/api/v1/clients/\($0)" } ?? "/api/v1"
      entries.append(
        #"{"deploymentId": "\#(id)", "digest": "sha256:\#(digest)", "url": "\#(prefix)/deployments/\#(id)/sha256:\#(digest)"}"#
      )
    }
    try site.write(
      #"{"manifestVersion": \#(version), "bundle": null, "deployments": [\#(entries.joined(separator: ","))]}"#,
      to: "manifest.json")
  }

  private func options(client: String = "wfm-client") -> [String] {
    [
      "--trust-channel", "--tls-ca", certificates.authority, "--tls-cert", certificates.certificate(client),
      "--tls-key",
      certificates.key(client),
    ]
  }

  @Test func `adopts over mutual TLS, looks again, reports, and refuses a rollback`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n", "belt": "belt: 1\n"], version: 7)
    let first = try await site.follow(source, trust: options())
    #expect(first.status == 0, "\(first)")
    #expect(first.names == ["fetched", "verified", "adopted", "applied"])
    #expect(try site.files(below: site.current) == ["press": "press: 1\n", "belt": "belt: 1\n"])
    #expect(try await site.follow(source, trust: options()).names == ["unchanged"])

    let told = try await Tool.run(
      Tool.desiredState,
      [
        "acknowledge", source, "--store", site.store, "--document", "press", "--state", "failed", "--error-code", "E1",
        "--error-message", "no room", "--device", "press-42", "--json", "--tls-ca", certificates.authority,
        "--tls-cert",
        certificates.certificate("wfm-client"), "--tls-key", certificates.key("wfm-client"),
      ])
    #expect(told.status == 0 && told.names == ["acknowledged"], "\(told)")
    let posted = try site.read("statuses")
    for part in [#""deploymentId": "press""#, #""adoptedManifestVersion": 7"#, #""code": "E1""#, #""state": "failed""#]
    {
      #expect(posted.contains(part), "\(posted)")
    }

    try await publish(["press": "press: 0\n"], version: 6)
    let back = try await site.follow(source, trust: options())
    #expect(back.status == 3 && back.events.last?.code == "version-rollback", "\(back)")
    #expect(try await site.status().adopted?.version == 7)
  }

  @Test func `a manager that is not this client's, or a client without a certificate, ends in words`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n"], version: 1)
    let stranger = try await site.follow(source, trust: options(client: "client"))
    #expect(stranger.status == 4 && stranger.events.last?.code == "tls-untrusted", "\(stranger)")
    let none = try await site.follow(source, trust: ["--trust-channel", "--tls-ca", certificates.authority])
    #expect(none.status == 4, "\(none)")
    let wrong = try await site.follow(source, trust: options(client: "wfm-no-client"))
    #expect(wrong.status == 64 && wrong.complaint.contains("spiffe://"), "\(wrong)")
  }

  @Test func `plain HTTP vouches for nothing`() async throws {
    let (server, source) = try await manager(isSecure: false)
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n"], version: 1)
    let run = try await site.follow(source, trust: ["--trust-channel"])
    #expect(run.status == 3 && run.events.last?.code == "signature-missing", "\(run)")
  }

  @Test func `onboards, prints the client's id, and follows with signed requests`() async throws {
    let (server, source) = try await manager(isSecure: false)
    let key = certificates.key("wfm-client")
    let arguments = ["onboard", source, "--certificate", certificates.certificate("wfm-client"), "--request-key", key]
    #expect(try await Tool.succeed(Tool.desiredState, arguments) == "client-7\n")
    #expect(try await Tool.succeed(Tool.desiredState, arguments + ["--json"]) == "{\"clientId\":\"client-7\"}\n")
    try await publish(["press": "press: 1\n"], version: 1, client: "client-7")
    let run = try await site.follow(source + "?client=client-7", trust: ["--accept-unsigned", "--request-key", key])
    #expect(run.status == 0, "\(run)")
    let asked = server.log.split(separator: "\n")
    #expect(asked.count == 4 && asked.allSatisfy { $0.contains("\"signature-input\"") })
    let broken = try await Tool.run(
      Tool.desiredState, ["onboard", source, "--certificate", key, "--request-key", key])
    #expect(broken.status == 64 && broken.complaint.contains("BEGIN CERTIFICATE"))
  }

  @Test func `capabilities are checked, published, followed by a change of their file, shown, and withdrawn`()
    async throws
  {
    let (server, source) = try await manager()
    try await publish(["press": "press: 1\n"], version: 1)
    func run(_ arguments: [String]) async throws -> Finished {
      try await Tool.run(
        Tool.desiredState, arguments + Array(options().dropFirst()) + ["--json"])
    }
    func device(_ id: String, memory: String = "8Gi") -> String {
      #"{"properties": {"id": "\#(id)", "vendor": "V", "modelNumber": "M", "serialNumber": "S", "memory": "\#(memory)"}}"#
    }
    let file = site.root + "/capabilities.json"
    try site.write(device("gw", memory: "lots"), to: "capabilities.json")
    let wrong = try await run(["capabilities", "publish", source, file])
    #expect(wrong.status == 64 && wrong.complaint.contains("properties.memory"), "\(wrong)")
    #expect(server.log.isEmpty)

    // A child alone is refused until its gateway is there, and waits.
    try site.write(device("gw/a"), to: "capabilities.json")
    let early = try await run(["capabilities", "publish", source, file, "--store", site.store])
    #expect(early.status == 4 && early.events.last?.problem?.hasSuffix("#gateway-not-found") == true, "\(early)")
    try site.write("[\(device("gw/a")),\(device("gw"))]", to: "capabilities.json")
    let both = try await run(["capabilities", "publish", source, file, "--store", site.store])
    #expect(both.status == 0 && both.events.map(\.device) == ["gw", "gw/a"], "\(both)")
    #expect(both.events.map(\.state) == ["published", "published"])

    try site.write(device("gw", memory: "9Gi"), to: "capabilities.json")
    let followed = try await site.follow(source, trust: options() + ["--capabilities", file])
    #expect(followed.status == 0, "\(followed)")
    #expect(try site.read("devices/gw").contains("9Gi"))
    let shown = try await site.status().capabilities
    #expect(shown?.map(\.device) == ["gw", "gw/a"])
    #expect(shown?.allSatisfy { $0.managers.values.map(\.state) == ["taken"] } == true)

    let gone = try await run(["capabilities", "withdraw", source, file, "--store", site.store])
    #expect(gone.status == 0 && gone.events.map(\.device) == ["gw/a", "gw"], "\(gone)")
    #expect(try await site.status().capabilities?.isEmpty == true)
    #expect(!FileManager.default.fileExists(atPath: site.root + "/devices/gw"))

    let misused = try await site.follow(trust: ["--accept-unsigned", "--capabilities", file])
    #expect(misused.status == 64 && misused.complaint.contains("--capabilities"), "\(misused)")
  }

  @Test func `a status is of the work that was done, whatever has been adopted since`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    func acknowledge(_ more: String...) async throws -> Finished {
      try await Tool.run(
        Tool.desiredState,
        ["acknowledge", source, "--store", site.store, "--document", "press", "--state", "installed", "--device", "gw"]
          + more + ["--json"] + Array(options().dropFirst()))
    }
    try await publish(["press": "press: 1\n"], version: 7)
    #expect(try await site.follow(source, trust: options()).status == 0)
    // Adopted, and not applied: an operator holds it.
    try await publish(["press": "press: 2\n"], version: 8)
    #expect(try await site.follow(source, trust: options() + ["--hold"]).status == 0)
    #expect(try await site.status().adopted?.version == 8)
    #expect(try await acknowledge("--component", "web=installed").status == 0)
    #expect(try await acknowledge("--manifest-version", "6", "--hosted-by", "gw/a").status == 0)
    let posted = try site.read("statuses").split(separator: "\n")
    #expect(posted.first?.contains(#""adoptedManifestVersion": 7"#) == true, "\(posted)")
    #expect(posted.first?.contains(#""components": [{"name": "web", "state": "installed"}]"#) == true, "\(posted)")
    #expect(posted.last?.contains(#""adoptedManifestVersion": 6"#) == true, "\(posted)")
    #expect(posted.last?.contains(#""deviceId": "gw/a""#) == true, "\(posted)")
  }

  @Test func `a device that moves to another manager says so, and begins its version sequence anew`() async throws {
    let (server, source) = try await manager(isSecure: false)
    defer { withExtendedLifetime(server) {} }
    let key = certificates.key("wfm-client")
    let trust = ["--accept-unsigned", "--request-key", key]
    try await publish(["press": "press: 1\n"], version: 41, client: "client-7")
    #expect(try await site.follow(source + "?client=client-7", trust: trust).status == 0)
    try await publish(["press": "press: 2\n"], version: 1, client: "client-7")
    let refused = try await site.follow(source + "?client=client-7", trust: trust)
    #expect(refused.status == 3 && refused.events.last?.code == "version-rollback", "\(refused)")
    #expect(refused.events.last?.reason?.contains("another publisher") == true)
    let id = try await Tool.succeed(
      Tool.desiredState,
      ["onboard", source, "--certificate", certificates.certificate("wfm-client"), "--request-key", key]
        + ["--store", site.store])
    #expect(id == "client-7\n")
    #expect(try await site.follow(source + "?client=client-7", trust: trust).status == 0)
    #expect(try await site.status().adopted?.version == 1)
  }

  @Test func `a certificate that ends soon is warned of, in the events and in the status`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n"], version: 1)
    let ending = try await site.follow(source, trust: options(client: "wfm-ending-client"))
    #expect(ending.status == 0, "\(ending)")
    let warning = try #require(ending.events.first { $0.event == "credentials-expiring" })
    #expect(warning.code == "credentials-expiring" && warning.reason?.contains("renew it before") == true)
    let shown = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(shown.contains("the client certificate is valid until"), "\(shown)")
    let json = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store, "--json"])
    #expect(json.contains(#""credentialsExpire":"20"#), "\(json)")
    // Renewed; one that lives for hours is warned of when most of them have passed.
    for client in ["wfm-short-client", "wfm-client"] {
      let renewed = try await site.follow(source, trust: options(client: client))
      #expect(renewed.names == ["unchanged"], "\(renewed)")
    }
    let after = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store, "--json"])
    #expect(after.contains(#""credentialsExpire":null"#), "\(after)")
  }

  @Test func `a status tells each change of state, in order, also of those that a hook makes`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n"], version: 1)
    let hook = #"echo '{"document": "press", "device": "press-42/a", "state": "installed"}'"#
    let run = try await site.follow(source, trust: options() + ["--on-apply", hook])
    #expect(run.status == 0, "\(run)")
    // One whose answer was not waited for is told again, and counts once.
    let posted = try site.read("statuses").split(separator: "\n").reduce(into: [Substring]()) {
      if $0.last != $1 { $0.append($1) }
    }
    #expect(posted.count == 2, "\(posted)")
    #expect(posted.first?.contains(#""state": "installing""#) == true, "\(posted)")
    #expect(posted.last?.contains(#""state": "installed""#) == true, "\(posted)")
    #expect(posted.last?.contains(#""deviceId": "press-42/a""#) == true, "\(posted)")
  }

  @Test func `the trust bundle takes the place of a file of authorities`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    try await publish(["press": "press: 1\n"], version: 1)
    let publisher = try await PythonServer.start(
      "margo",
      [
        "--root", site.root + "/publisher", "--tls", certificates.certificate("untrusted"),
        certificates.key("untrusted"),
      ])
    let url = "https://localhost:\(publisher.port)/.well-known/"
    let pem = try String(contentsOfFile: certificates.authority, encoding: .utf8)
    let authority = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
    try site.write(
      #"{"trustDomain": "plant.example", "trustBundleUri": "\#(url)bundle.json"}"#, to: "publisher/well-known/margo")
    try site.write(
      #"{"trust_domains": {"plant.example": {"spiffe_sequence": 1, "keys": [{"use": "x509-svid", "x5c": ["\#(authority)"]}]}}}"#,
      to: "publisher/well-known/bundle.json")
    func options(_ authority: String) -> [String] {
      [
        "--trust-channel", "--tls-ca", authority, "--tls-cert", certificates.certificate("wfm-client"), "--tls-key",
        certificates.key("wfm-client"), "--trust-bundle", url + "margo",
      ]
    }
    let stranger = try await site.follow(source, trust: options(certificates.authority))
    #expect(stranger.status == 4 && stranger.events.last?.code == "tls-untrusted", "\(stranger)")
    let run = try await site.follow(source, trust: options(certificates.otherAuthority))
    #expect(run.status == 0, "\(run)")
    let wrong = try await site.follow(
      source, trust: Array(options(certificates.otherAuthority).dropLast()) + ["http://localhost/"])
    #expect(wrong.status == 64 && wrong.complaint.contains("https"), "\(wrong)")
  }

  @Test func `a base path that is missing is told with the address that was asked`() async throws {
    let (server, source) = try await manager()
    defer { withExtendedLifetime(server) {} }
    let run = try await site.follow(source + "/nowhere", trust: options())
    #expect(run.status == 5, "\(run)")
    #expect(run.events.last?.reason?.contains("/nowhere/api/v1/deployments") == true, "\(run)")
    #expect(run.events.last?.reason?.contains("base path") == true, "\(run)")
  }

  @Test(arguments: [
    #"{"status": 422, "path": "/status", "body": {"type": "https://docs.margo.org/specification/problem-types#semantic-error", "title": "Semantic Error", "errors": [{"field": "components", "message": "lacks one"}]}}"#,
    #"{"status": 403, "path": "/status", "body": {"type": "https://docs.margo.org/specification/problem-types#not-authorized", "title": "Not Authorized", "retryable": false}}"#,
  ])
  func `a status that is refused for good is given up and told, and waits no longer`(problem: String) async throws {
    let (server, source) = try await manager()
    try await publish(["press": "press: 1\n"], version: 1)
    #expect(try await site.follow(source, trust: options()).status == 0)
    try site.write(problem, to: "report-problem")
    let told = try await Tool.run(
      Tool.desiredState,
      ["acknowledge", source, "--store", site.store, "--document", "press", "--state", "installed", "--json"]
        + Array(options().dropFirst()))
    #expect(told.status == 3 && told.names == ["acknowledgement-refused"], "\(told)")
    #expect(told.events.last?.problem?.contains("problem-types#") == true, "\(told)")
    #expect(told.output.contains(problem.contains("errors") ? "lacks one" : "Not Authorized"), "\(told)")
    for _ in 1...2 { #expect(try await site.follow(source, trust: options()).status == 0) }
    #expect(server.log.split(separator: "\n").count { $0.contains("\"POST\"") } == 1)
    let shown = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(shown.contains("outbox") && !shown.contains("1 waiting"), "\(shown)")
  }
}
