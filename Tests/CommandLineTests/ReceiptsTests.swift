import Foundation
import Testing

/// What `receipts --json` prints of one device.
private struct Device: Decodable {
  struct Trouble: Decodable {
    var document: String?
    var code: String
  }
  struct Document: Decodable {
    var document: String?
    var state: String?
    var signature: String
  }
  var device: String
  var version: UInt64?
  var state: String?
  var age: Int?
  var trouble: [Trouble]
  var documents: [Document]
  var signature: String
  var signers: [Status.Signer]
  var reason: String?
}

/// Receipts that prove who spoke, with ssh-keygen as the judge.
@Suite("Receipts by the device's own key")
struct ReceiptsTests {
  private let site: Site

  init() throws { site = try Site() }

  private var folder: String { site.drop + "/acknowledgements" }
  private var signers: String { site.root + "/device-signers" }

  private func trust(_ device: String, _ key: String) throws {
    let before = (try? site.read(signers)) ?? ""
    let line = "\(device) namespaces=\"desired-state-receipt\" \(try site.read(key + ".pub"))"
    try site.write(before + line, to: signers)
  }

  private func list(_ source: String? = nil, _ options: String...) async throws -> [String: Device] {
    let run = try await Tool.run(Tool.desiredState, ["receipts", source ?? site.drop, "--json"] + options)
    let devices = try run.output.split(separator: "\n").map {
      try JSONDecoder().decode(Device.self, from: Data($0.utf8))
    }
    // What the list shows, the exit status says.
    let words = devices.map(\.signature)
    if words.contains("invalid") {
      #expect(run.status == 3, "\(run)")
    } else if !words.contains("unsigned") {
      #expect(run.status == (words.contains("missing") ? 5 : 0), "\(run)")
    }
    return Dictionary(devices.map { ($0.device, $0) }) { first, _ in first }
  }

  /// A device of its own: its store, its key.
  private func follow(_ device: String, _ source: String? = nil, key: String?) async throws -> Finished {
    try await Tool.run(
      Tool.desiredState,
      [
        "follow", source ?? site.drop, "--store", "\(site.root)/store-\(device)", "--once", "--json", "--device",
        device,
        "--trust", site.trust,
      ] + (key.map { ["--receipt-key", $0] } ?? []))
  }

  @Test("A signed receipt is the device's word, by ssh-keygen's own judgement; a forged one is invalid") func forged()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let press = try await site.makeKey("press")
    let saw = try await site.makeKey("saw", type: "ecdsa")
    try trust("press-42", press)
    try trust("saw-*,!saw-9", saw)
    try trust("oven-1", try await site.makeKey("oven"))
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    for (device, key) in [("press-42", press), ("saw-1", saw), ("saw-9", saw), ("belt", nil)] as [(String, String?)] {
      let run = try await follow(device, key: key)
      #expect(run.status == 0 && run.names.contains("acknowledged"), "\(run)")
    }
    let verdict = try await Tool.run(
      "ssh-keygen",
      [
        "-Y", "verify", "-n", "desired-state-receipt", "-I", "press-42", "-f", signers, "-s",
        folder + "/press-42/state.json.sig",
      ], input: try site.read(folder + "/press-42/state.json"))
    #expect(verdict.status == 0, "\(verdict)")

    var devices = try await list(nil, "--trust", signers)
    #expect(
      devices["press-42"]?.signature == "signed" && devices["press-42"]?.signers.first?.principals == ["press-42"])
    #expect(devices["press-42"]?.version == 1 && devices["press-42"]?.state == "adopted")
    #expect(devices["press-42"]?.age.map { (0..<600).contains($0) } == true)
    #expect(devices["saw-1"]?.signature == "signed")
    #expect(devices["saw-9"]?.signature == "invalid" && devices["saw-9"]?.version == nil)
    #expect(devices["belt"]?.signature == "unsigned" && devices["belt"]?.version == 1)
    #expect(devices["oven-1"]?.signature == "missing")

    // Without the keys, what is signed is not checked.
    #expect(try await list()["press-42"]?.signature == "unchecked")

    // Another device's receipt in its place, as it is and in its name; and its own, changed.
    let own = try site.read(folder + "/press-42/state.json")
    let ownSignature = try site.read(folder + "/press-42/state.json.sig")
    for ending in ["", ".sig"] {
      try site.write(
        try site.read(folder + "/saw-1/state.json" + ending), to: folder + "/press-42/state.json" + ending)
    }
    devices = try await list(nil, "--trust", signers)
    #expect(devices["press-42"]?.signature == "invalid" && devices["press-42"]?.reason?.contains("saw-1") == true)
    let forged = own.replacing("\"adoptedManifestVersion\" : 1", with: "\"adoptedManifestVersion\" : 9")
    try #require(forged != own)
    try site.write(forged, to: folder + "/press-42/state.json")
    let signature = try await Tool.succeed(
      "ssh-keygen", ["-q", "-Y", "sign", "-n", "desired-state-receipt", "-f", saw], input: forged)
    for text in [signature, ownSignature] {
      try site.write(text, to: folder + "/press-42/state.json.sig")
      devices = try await list(nil, "--trust", signers)
      #expect(devices["press-42"]?.signature == "invalid" && devices["press-42"]?.version == nil)
    }
    #expect(devices["press-42"]?.state == nil && devices["press-42"]?.reason?.isEmpty == false)
    let shown = try await Tool.run(Tool.desiredState, ["receipts", site.drop, "--trust", signers])
    #expect(shown.status == 3, "\(shown)")
    #expect(shown.output.contains("press-42     INVALID") && !shown.output.contains("version 9"), "\(shown)")

    // A stolen key is revoked.
    try site.write(own, to: folder + "/press-42/state.json")
    #expect(try await list(nil, "--trust", signers)["press-42"]?.signature == "signed")
    let revoked = try await list(nil, "--trust", signers, "--revoked", press + ".pub")
    #expect(revoked["press-42"]?.signature == "invalid" && revoked["press-42"]?.reason?.contains("revoked") == true)
  }

  @Test("The exit status tells a proven fleet from one that is doubtful, and from one that is silent") func statuses()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let press = try await site.makeKey("press")
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    #expect(try await follow("press-42", key: press).status == 0)
    #expect(try await follow("belt", key: nil).status == 0)
    func status(_ options: String...) async throws -> Int32 {
      try await Tool.run(Tool.desiredState, ["receipts", site.drop] + options).status
    }
    #expect(try await status() == 0)
    // A key for manifests alone names no device, and speaks for none.
    try site.write("belt,ops namespaces=\"desired-state\" \(try site.read(key + ".pub"))", to: signers)
    try trust("press-42", press)
    #expect(try await status("--trust", signers) == 0)
    #expect(try await status("--device", "press-42") == 0)
    #expect(try await status("--device", "press-42", "--device", "oven") == 5)
    // Without its signature, a receipt can be everyone's.
    try site.remove(folder + "/press-42/state.json.sig")
    #expect(try await status("--trust", signers) == 3)
    #expect(try await status("--trust", signers, "--device", "belt") == 0)
    #expect(try await status() == 0)
    try site.remove(folder + "/press-42")
    #expect(try await status("--trust", signers) == 5)
    #expect(try await status("--trust", site.root + "/nowhere") == 64)
    try site.write("press-42 ssh-ed25519\n", to: "bad-signers")
    #expect(try await status("--trust", site.root + "/bad-signers") == 64)
  }

  @Test("What devices say of trouble and of documents is listed, also beside rubbish and links") func trouble()
    async throws
  {
    let key = try await site.makeKey(trustedAs: "ops")
    let press = try await site.makeKey("press")
    try trust("press-42", press)
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    #expect(try await follow("press-42", key: press).status == 0)
    let store = site.root + "/store-press-42"
    for state in ["pending", "failed"] {
      try await Tool.succeed(
        Tool.desiredState,
        [
          "acknowledge", site.drop, "--store", store, "--device", "press-42", "--document", "press.yaml", "--state",
          state, "--receipt-key", press,
        ])
    }
    // Refused: a version that is older.
    try await site.publishByHand(version: "1", documents: [("other.yaml", "x\n")], keys: [key])
    #expect(try await follow("press-42", key: press).status == 3)
    let device = try #require(try await list(nil, "--trust", signers)["press-42"])
    #expect(device.signature == "signed" && device.state == "rejected" && device.version == 1, "\(device)")
    #expect(device.trouble.map(\.code) == ["version-equivocation", "failed"])
    #expect(device.documents.first?.document == "press.yaml" && device.documents.first?.state == "failed")

    try site.write("{", to: folder + "/eve/state.json")
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/eve/documents", withDestinationPath: "/proc/self/fd")
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/press-42/documents/x.json", withDestinationPath: "/etc/passwd")
    let after = try await list(nil, "--trust", signers)
    #expect(after["eve"]?.signature == "invalid")
    #expect(after["press-42"]?.signature == "invalid" && after["press-42"]?.version == 1)
    let gone = try await Tool.run(Tool.desiredState, ["receipts", site.root + "/nowhere"])
    #expect(gone.status == 4)
  }

  @Test("Without a key that signs, an acknowledgement waits, and says why") func noKey() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    try await site.publish(keys: [key])
    try site.write("no key\n", to: "bad-key")
    let run = try await follow("press-42", key: site.root + "/bad-key")
    #expect(run.status == 0 && run.output.contains("acknowledgement-failed") && run.output.contains("signed"), "\(run)")
    #expect(!site.exists(folder + "/press-42"))
    #expect(try await follow("press-42", key: site.root + "/none").status == 64)
    let good = try await site.makeKey("press")
    #expect(try await follow("press-42", key: good).names.contains("acknowledged"))
    #expect(site.exists(folder + "/press-42/state.json.sig"))
    // Unsigned again: an old signature beside it would make it look forged.
    try await site.publish(keys: [key])
    #expect(try await follow("press-42", key: nil).status == 0)
    #expect(!site.exists(folder + "/press-42/state.json.sig"))
  }

  @Test("In a repository, each device's branch speaks for that device alone") func repository() async throws {
    let key = try await site.makeKey(trustedAs: "ops")
    let press = try await site.makeKey("press")
    try trust("press-42", press)
    try site.write("press: 1\n", to: site.documents + "/press.yaml")
    let repository = site.root + "/repository.git"
    try await Tool.succeed("git", ["init", "-q", "--bare", repository])
    let address = "git+file://\(repository)?ref=main"
    try await site.publish(keys: [key], to: address)
    for _ in 1...2 {
      #expect(try await follow("press-42", address, key: press).status == 0)
      #expect(try await follow("belt", address, key: nil).status == 0)
      try await site.publish(keys: [key], to: address)
    }
    var devices = try await list(address, "--trust", signers)
    #expect(devices["press-42"]?.signature == "signed" && devices["press-42"]?.version == 2, "\(devices)")
    #expect(devices["belt"]?.signature == "unsigned" && devices["belt"]?.version == 2)
    // Who may push to one branch cannot speak for another device, not even unsigned.
    try await Tool.succeed(
      "git",
      [
        "--git-dir", repository, "update-ref", "refs/heads/acknowledgements/belt",
        "refs/heads/acknowledgements/press-42",
      ])
    let run = try await Tool.run(Tool.desiredState, ["receipts", address, "--json", "--trust", signers])
    // The device whose key is listed is well; the other branch is passed over, with a complaint.
    #expect(run.complaint.contains("press-42") && !run.output.contains("\"belt\""), "\(run)")
    devices = try await list(address, "--trust", signers, "--device", "press-42")
    #expect(devices.keys.sorted() == ["press-42"])
  }
}
