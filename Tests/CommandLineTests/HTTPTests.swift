import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// The program against nginx, with everything a plant's web server may ask of a device.
@Suite struct `Following over HTTP` {
  let site: Site
  let certificates: Certificates
  let nginx: Nginx
  let key: String

  static let token = "token-of-the-plant"

  init() async throws {
    let site = try Site()
    let certificates = try await Certificates.shared.value
    (self.site, self.certificates) = (site, certificates)
    key = try await site.makeKey(trustedAs: "ops@plant.example")
    nginx = try await Nginx.start(ports: 2) { nginx in
      NginxServer.server(
        .mutual, port: nginx.ports[0], certificates,
        """
        root \(site.root);
        if ($http_authorization != "Bearer \(Self.token)") { return 401; }
        location /drop/acknowledgements/ { dav_methods PUT; create_full_put_path on; }
        location /drop/refused/ { return 422; }
        location /drop/missing/ { return 405; }
        """)
        + NginxServer.server(
          .plain, port: nginx.ports[1], certificates,
          "root \(site.root); access_log \(nginx.directory["access.log"]) lines;")
    }
    try site.write(Self.token + "\n", to: "token")
    try site.write("press: 1\n", to: "documents/press.yaml")
    try site.write("belt: 1\n", to: "documents/line/belt.yaml")
  }

  var url: String { "https://localhost:\(nginx.ports[0])/drop/manifest.json" }
  var plainURL: String { "http://localhost:\(nginx.ports[1])/drop/manifest.json" }

  /// The options that this server asks for, some left out or with other values.
  func options(_ changes: [String: String?] = [:]) -> [String] {
    var values: [String: String?] = [
      "tls-ca": certificates.authority, "tls-cert": certificates.certificate("client"),
      "tls-key": certificates.key("client"), "token-file": site.root + "/token", "trust": site.trust,
    ]
    for (name, value) in changes { values[name] = .some(value) }
    return values.sorted { $0.key < $1.key }.flatMap { name, value in value.map { ["--\(name)", $0] } ?? [] }
  }

  @Test(.timeLimit(.minutes(5))) func `adopts, reports and looks again with a certificate and a token`() async throws {
    try await site.publish(keys: [key])
    let source = url + "?receipts=acknowledgements"
    let first = try await site.follow(source, trust: options())
    #expect(first.status == 0, "\(first)")
    #expect(first.names == ["fetched", "verified", "adopted", "applied", "acknowledged"])
    #expect(try site.files(below: site.current) == ["press.yaml": "press: 1\n", "line/belt.yaml": "belt: 1\n"])
    let receipt = try site.read("drop/acknowledgements/press-42/state.json")
    let revision = try #require(first.events.first?.revision)
    #expect(receipt.contains("\"adopted\"") && receipt.contains(revision))

    let again = try await site.follow(source, trust: options())
    #expect(again.status == 0 && again.names == ["unchanged"])
    // The same drop from the disk is the same revision.
    let disk = try await site.follow()
    #expect(disk.status == 0 && disk.names == ["unchanged"] && disk.events[0].revision == first.events[0].revision)

    let status = try await site.status()
    #expect(status.adopted?.source == url && status.outbox.waiting == 0)
    for printed in [first, again, disk] {
      #expect(!(printed.output + printed.complaint).contains(Self.token))
    }
  }

  @Test(.timeLimit(.minutes(5))) func `acknowledgements refused for good are given up, others wait`() async throws {
    try await site.publish(keys: [key])
    let refused = try await site.follow(url + "?receipts=refused", trust: options())
    #expect(refused.status == 0 && refused.names.last == "acknowledgement-refused", "\(refused)")
    var status = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(status.contains("outbox    empty") && status.contains("given up: adopted version 1"), "\(status)")
    #expect(status.contains("answers 422"))
    #expect(try await site.follow(url + "?receipts=refused", trust: options()).names == ["unchanged"])

    // A folder that is not there is for a person to mend.
    try await site.publish(keys: [key], "--version", "2")
    let missing = try await site.follow(url + "?receipts=missing", trust: options())
    #expect(missing.status == 0 && missing.names.last == "acknowledgement-failed", "\(missing)")
    status = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store])
    #expect(status.contains("1 waiting") && status.contains("answers 405"), "\(status)")
    #expect(try await site.follow(url + "?receipts=acknowledgements", trust: options()).names.contains("acknowledged"))
    #expect(try await site.status().outbox.waiting == 0)
    let told = try await Tool.succeed(Tool.desiredState, ["status", "--store", site.store, "--json"])
    #expect(told.contains("\"refused\":[]"), "\(told)")
  }

  @Test(.timeLimit(.minutes(5))) func `says why a server cannot be used, and shows no secret`() async throws {
    try await site.publish(keys: [key])
    try site.write("another-token", to: "other-token")
    let gone = Endpoint.reservedPort()
    let cases: [(String, [String: String?], String)] = [
      (url, ["tls-ca": certificates.otherAuthority], "tls-untrusted"),
      (url, ["tls-ca": nil], "tls-untrusted"),
      (url, ["tls-cert": nil, "tls-key": nil], "unauthorized"),
      (url, ["token-file": nil], "unauthorized"),
      (url, ["token-file": site.root + "/other-token"], "unauthorized"),
      ("https://localhost:\(gone)/manifest.json?sig=s3cret", [:], "unreachable"),
      ("https://nowhere.invalid/manifest.json", [:], "unreachable"),
    ]
    for (source, changes, code) in cases {
      let finished = try await site.follow(source, trust: options(changes))
      #expect(finished.status == 4 && finished.events.map(\.code) == [code], "\(source) \(changes): \(finished)")
      let printed = finished.output + finished.complaint
      for secret in [Self.token, "another-token", "s3cret"] { #expect(!printed.contains(secret)) }
    }
    let absent = try await site.follow(
      url.replacing("drop/manifest.json", with: "none/manifest.json"), trust: options())
    #expect(absent.status == 5 && absent.names == ["absent"])
  }

  @Test(.timeLimit(.minutes(5))) func `refuses what was tampered with and keeps what it has`() async throws {
    try await site.publish(keys: [key])
    #expect(try await site.follow(url, trust: options()).status == 0)
    try site.write("press: 2\n", to: "documents/press.yaml")
    try await site.publish(keys: [key])
    let digest = try await site.sha256("press: 2\n")
    try site.write("press: 3\n", to: "drop/documents/sha256-\(digest)")
    let refused = try await site.follow(url, trust: options())
    #expect(refused.status == 3 && refused.events.last?.code == "digest-mismatch", "\(refused)")
    #expect(try site.read(site.current + "/press.yaml") == "press: 1\n")
    try site.write("press: 2\n", to: "drop/documents/sha256-\(digest)")
    #expect(try await site.follow(url, trust: options()).status == 0)
    #expect(try site.read(site.current + "/press.yaml") == "press: 2\n")
  }

  @Test(.timeLimit(.minutes(5))) func `goes through a proxy, which may look but not touch`() async throws {
    try await site.publish(keys: [key])
    let plain = try await PythonServer.start("proxy", ["--credentials", "agent:pass-word"])
    let proxy = "http://agent:pass-word@127.0.0.1:\(plain.port)"
    let through = try await site.follow(url, trust: options(["proxy": proxy]))
    #expect(through.status == 0 && !(through.output + through.complaint).contains("pass-word"), "\(through)")
    #expect(plain.log.contains("CONNECT localhost:\(nginx.ports[0])"))
    let refused = try await site.follow(
      url, trust: options(["proxy": proxy.replacing("pass-word", with: "wrong-word")]))
    #expect(refused.status == 4 && refused.events.map(\.code) == ["unauthorized"], "\(refused)")
    #expect(!(refused.output + refused.complaint).contains("wrong-word"))

    let inspecting = try await PythonServer.start(
      "proxy",
      [
        "--inspect", certificates.certificate("untrusted"), certificates.key("untrusted"),
        "--client", certificates.certificate("client"), certificates.key("client"), "--change", "/drop/documents/",
      ])
    try site.write("press: 2\n", to: "documents/press.yaml")
    try await site.publish(keys: [key])
    let address = "http://127.0.0.1:\(inspecting.port)"
    let changed = try await site.follow(
      url, trust: options(["proxy": address, "tls-ca": certificates.otherAuthority]))
    #expect(changed.status == 3 && changed.events.last?.code == "digest-mismatch", "\(changed)")
    let stranger = try await site.follow(url, trust: options(["proxy": address]))
    #expect(stranger.status == 4 && stranger.events.map(\.code) == ["tls-untrusted"], "\(stranger) \(inspecting.log)")
  }

  @Test(.timeLimit(.minutes(5))) func `http is for this machine, unless asked for by name`() async throws {
    try await site.publish(keys: [key])
    #expect(try await site.follow(plainURL).status == 0)
    let refused = try await site.follow("http://plant.example/manifest.json")
    #expect(refused.status == 64 && refused.complaint.contains("--insecure-http"), "\(refused)")
    let allowed = try await site.follow("http://nowhere.invalid/manifest.json", trust: nil, "--insecure-http")
    #expect(allowed.status == 4 && allowed.events.map(\.code) == ["unreachable"], "\(allowed)")
  }

  @Test(.timeLimit(.minutes(5))) func `options that cannot work are usage errors that say what to do`() async throws {
    try site.write(" \n", to: "empty")
    try site.write("Bearer abc\n", to: "header")
    let cases: [(String, [String], String)] = [
      (url, ["--tls-cert", certificates.certificate("client")], "--tls-key"),
      (url, ["--tls-ca", site.root + "/nothing"], "--tls-ca"),
      (url, ["--token-file", site.root + "/empty"], "the token file (--token-file) "),
      (url, ["--token-file", site.root + "/header"], "more than a token"),
      (url + "?receipts=", [], "'receipts='"), ("margo+https://localhost?client=", [], "'client='"),
      ("margo+https://localhost", ["--request-key", key], "client-id form"),
      (url, ["--proxy", "socks5://127.0.0.1:1"], "proxy"),
      (url, ["--proxy-ca", certificates.authority], "--proxy"),
      ("https://ops:s3cret@localhost/manifest.json", [], "credentials"),
      (site.drop, ["--tls-ca", certificates.authority], "--tls-ca"),
      (site.drop, ["--insecure-http"], "--insecure-http"),
      (url, ["--request-key", certificates.key("client")], "--request-key"),
      ("https:///drop/manifest.json", [], "names no host"),
      (url, ["--timeout", "0s"], "--timeout must be more than 0"),
    ]
    for (source, options, expected) in cases {
      let finished = try await Tool.run(
        Tool.desiredState, ["follow", source, "--store", site.store, "--once", "--trust", site.trust] + options)
      #expect(finished.status == 64 && finished.complaint.contains(expected), "\(source) \(options): \(finished)")
      #expect(!finished.complaint.contains("s3cret"))
    }
    let verify = try await Tool.run(Tool.desiredState, ["verify", url, "--trust", site.trust])
    #expect(verify.status == 64 && verify.complaint.contains("fetch"), "\(verify)")
  }

  @Test(.timeLimit(.minutes(5))) func `a document's state is reported, where there is a way back`() async throws {
    try await site.publish(keys: [key])
    #expect(try await site.follow(url, trust: options()).status == 0)
    func acknowledge(_ source: String) async throws -> Finished {
      var options = options()
      let index = try #require(options.firstIndex(of: "--trust"))
      options.removeSubrange(index...index + 1)
      return try await Tool.run(
        Tool.desiredState,
        ["acknowledge", source, "--store", site.store, "--document", "line/belt.yaml", "--state", "installed"]
          + ["--device", "press-42", "--json"] + options)
    }
    let stuck = try await acknowledge(url)
    #expect(stuck.status == 4 && stuck.events.map(\.code) == ["unsupported"], "\(stuck)")
    let sent = try await acknowledge(url + "?receipts=acknowledgements/")
    #expect(sent.status == 0, "\(sent)")
    // The same names as on a disk: percent signs in them stay.
    let receipt = try site.read("drop/acknowledgements/press-42/documents/line%2fbelt.yaml.json")
    #expect(receipt.contains("\"installed\""))
    #expect(try await site.status().outbox.waiting == 0)
  }

  @Test(.timeLimit(.minutes(5))) func `fetches without a store`() async throws {
    try await site.publish(keys: [key])
    let output = site.root + "/copy"
    let fetched = try await Tool.run(
      Tool.desiredState, ["fetch", url, "--output", output, "--json", "--device", "press-42"] + options())
    #expect(fetched.status == 0 && fetched.names == ["fetched", "verified"], "\(fetched)")
    #expect(try site.files(below: output) == ["press.yaml": "press: 1\n", "line/belt.yaml": "belt: 1\n"])
  }

  @Test(.timeLimit(.minutes(5))) func `a bundle saves the way for each document, and is never relied on`() async throws
  {
    for number in 0..<40 { try site.write("\(number)\n", to: "documents/number-\(number)") }
    try await site.publish(keys: [key], "--bundle")
    #expect(try await site.follow(plainURL).status == 0)
    let first = try await nginx.requests(at: nginx.ports[1]).map(\.path)
    #expect(first.count == 3 && first.last?.hasPrefix("/drop/bundles/") == true, "\(first)")
    #expect(try site.files(below: site.current).count == 42)

    // A wrong one does no harm: the state has the signed bytes.
    try site.remove(site.store)
    let bundle = try #require(FileManager.default.contentsOfDirectory(atPath: site.drop + "/bundles").first)
    try site.write("not a bundle", to: "drop/bundles/" + bundle)
    #expect(try await site.follow(plainURL).status == 0)
    #expect(try await nginx.requests(at: nginx.ports[1]).count { $0.path.hasPrefix("/drop/documents/") } == 42)
    #expect(try site.files(below: site.current).count == 42)
  }
}
