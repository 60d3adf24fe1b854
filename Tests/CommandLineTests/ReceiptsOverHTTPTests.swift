import Foundation
import HTTPTestSupport
import TestSupport
import Testing

/// Signed receipts through a server of files, nginx with WebDAV's PUT, that others can write to as well.
@Suite(.timeLimit(.minutes(3))) struct `Signed receipts over HTTP` {
  private let site: Site
  private let nginx: Nginx
  private let key: String
  private let press: String
  private let saw: String

  init() async throws {
    let site = try Site()
    self.site = site
    let certificates = try await Certificates.shared.value
    nginx = try await Nginx.start(ports: 1) { nginx in
      NginxServer.server(
        .plain, port: nginx.ports[0], certificates,
        """
        root \(site.root);
        location /drop/acknowledgements/ { dav_methods PUT; create_full_put_path on; client_max_body_size 4m; }
        """)
    }
    key = try await site.makeKey(trustedAs: "ops")
    (press, saw) = (try await site.makeKey("press"), try await site.makeKey("saw", type: "ecdsa"))
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    var lines = ""
    for (device, key) in [("press-42", press), ("saw-1", saw)] {
      lines += "\(device) namespaces=\"desired-state-receipt\" \(try site.read(key + ".pub"))"
    }
    try site.write(lines, to: signers)
  }

  private var signers: String { site.root + "/device-signers" }
  private var address: String { "http://localhost:\(nginx.ports[0])/drop/manifest.json?receipts=acknowledgements" }
  private var folder: String { "http://localhost:\(nginx.ports[0])/drop/acknowledgements" }

  private func follow(_ device: String, key: String?) async throws -> Finished {
    try await Tool.run(
      Tool.desiredState,
      [
        "follow", address, "--store", "\(site.root)/store-\(device)", "--once", "--json", "--device", device, "--trust",
        site.trust,
      ] + (key.map { ["--receipt-key", $0] } ?? []))
  }

  private struct Device: Decodable {
    var device: String
    var version: UInt64?
    var state: String?
    var signature: String
    var reason: String?
  }

  private func list(_ options: String..., expecting status: Int32) async throws -> [String: Device] {
    let run = try await Tool.run(Tool.desiredState, ["receipts", address, "--json"] + options)
    #expect(run.status == status, "\(run)")
    let devices = try run.output.split(separator: "\n").map {
      try JSONDecoder().decode(Device.self, from: Data($0.utf8))
    }
    return Dictionary(devices.map { ($0.device, $0) }) { first, _ in first }
  }

  /// As another program with the right to write would.
  private func put(_ text: String, at path: String) async throws {
    let send = """
      import sys, urllib.request
      urllib.request.urlopen(urllib.request.Request(sys.argv[1], data=sys.stdin.buffer.read(), method="PUT"))
      """
    try await Tool.succeed("python3", ["-c", send, "\(folder)/\(path)"], input: text)
  }

  @Test func `a device's word is proven, by ssh-keygen's judgement too, and a forged one is not told`() async throws {
    for (device, key) in [("press-42", press), ("saw-1", saw), ("belt", nil)] as [(String, String?)] {
      let run = try await follow(device, key: key)
      #expect(run.status == 0 && run.names.contains("acknowledged"), "\(run)")
    }
    let files = site.drop + "/acknowledgements/press-42/state.json"
    let own = try site.read(files)
    let ownSignature = try site.read(files + ".sig")
    let verdict = try await Tool.run(
      "ssh-keygen",
      ["-Y", "verify", "-n", "desired-state-receipt", "-I", "press-42", "-f", signers, "-s", files + ".sig"], input: own
    )
    #expect(verdict.status == 0, "\(verdict)")

    var devices = try await list("--trust", signers, expecting: 0)
    #expect(devices["press-42"]?.signature == "signed" && devices["press-42"]?.version == 1, "\(devices)")
    #expect(devices["saw-1"]?.signature == "signed" && devices["belt"] == nil)
    // A server of files has no list: devices are named. One that no key is listed for is listed as unsigned.
    devices = try await list("--trust", signers, "--device", "belt", expecting: 0)
    #expect(devices["belt"]?.signature == "unsigned" && devices["belt"]?.version == 1)
    #expect(try await list("--device", "press-42", expecting: 0)["press-42"]?.signature == "unchecked")
    #expect(try await list("--device", "oven", expecting: 5)["oven"]?.signature == "missing")
    #expect(try await Tool.run(Tool.desiredState, ["receipts", address]).status == 64)

    // Others who may write: another's receipt, changed words with the old signature, with another's, and without.
    try await put(try site.read(site.drop + "/acknowledgements/saw-1/state.json"), at: "press-42/state.json")
    try await put(try site.read(site.drop + "/acknowledgements/saw-1/state.json.sig"), at: "press-42/state.json.sig")
    devices = try await list("--trust", signers, expecting: 3)
    #expect(devices["press-42"]?.signature == "invalid" && devices["saw-1"]?.signature == "signed")
    let forged = own.replacing("\"adoptedManifestVersion\" : 1", with: "\"adoptedManifestVersion\" : 9")
    try #require(forged != own)
    try await put(forged, at: "press-42/state.json")
    let foreign = try await Tool.succeed(
      "ssh-keygen", ["-q", "-Y", "sign", "-n", "desired-state-receipt", "-f", saw], input: forged)
    let wrongRole = try await Tool.succeed(
      "ssh-keygen", ["-q", "-Y", "sign", "-n", "desired-state", "-f", press], input: forged)
    for signature in [ownSignature, foreign, wrongRole, "no signature\n", ""] {
      try await put(signature, at: "press-42/state.json.sig")
      devices = try await list("--trust", signers, expecting: 3)
      #expect(devices["press-42"]?.signature == "invalid" && devices["press-42"]?.version == nil, "\(devices)")
    }
    try site.remove(files + ".sig")
    #expect(try await list("--trust", signers, expecting: 3)["press-42"]?.signature == "unsigned")
    // Too long to be read: the others are listed all the same.
    try await put(String(repeating: " ", count: 2 << 20) + own, at: "press-42/state.json")
    devices = try await list("--trust", signers, expecting: 3)
    #expect(devices["press-42"]?.signature == "invalid" && devices["saw-1"]?.signature == "signed", "\(devices)")

    // The device's next word takes the place of all that.
    try await site.publish(keys: [key])
    #expect(try await follow("press-42", key: press).status == 0)
    devices = try await list("--trust", signers, expecting: 0)
    #expect(devices["press-42"]?.signature == "signed" && devices["press-42"]?.version == 2, "\(devices)")
    try await nginx.stop()
    let gone = try await Tool.run(Tool.desiredState, ["receipts", address, "--json", "--trust", signers])
    #expect(gone.status == 4 && gone.names == ["unavailable"], "\(gone)")
  }

  @Test func `a running device signs each receipt anew`() async throws {
    let device = try Follower([
      address, "--store", site.store, "--trust", site.trust, "--device", "press-42", "--interval", "100ms",
      "--receipt-key", press,
    ])
    #expect(await device.next("acknowledged")?.version == 1)
    for version in 2...3 {
      try await site.publish(keys: [key])
      while let event = await device.next("acknowledged"), event.version != UInt64(version) {}
      let devices = try await list("--trust", signers, "--device", "press-42", expecting: 0)
      #expect(devices["press-42"]?.signature == "signed" && devices["press-42"]?.version == UInt64(version))
    }
    #expect(await device.end(by: SIGTERM) == 0)
  }
}
